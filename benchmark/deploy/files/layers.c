/* Layers of the model in C99. A window is (channels, samples); every array is dense, the last axis fastest. */

static void normalise(float *out, const float *in, int channels, int samples, const float *mean, const float *deviation) {
    for (int c = 0; c < channels; c++)
        for (int t = 0; t < samples; t++) out[c * samples + t] = (in[c * samples + t] - mean[c]) / deviation[c];
}

/* Padding is written out: what lies before the first and after the last sample counts as 0. */
static void convolution(float *out, const float *in, int inputs, int samples, int outputs, int length, int kernel,
                        int stride, int left, const float *weight, const float *bias) {
    for (int o = 0; o < outputs; o++)
        for (int t = 0; t < length; t++) {
            float sum = bias[o];
            int first = t * stride - left;
            int from = first < 0 ? -first : 0;
            int to = first + kernel > samples ? samples - first : kernel;
            for (int i = 0; i < inputs; i++)
                for (int k = from; k < to; k++)
                    sum += weight[(o * inputs + i) * kernel + k] * in[i * samples + first + k];
            out[o * length + t] = sum;
        }
}

static void linear(float *out, const float *in, int inputs, int outputs, const float *weight, const float *bias) {
    for (int o = 0; o < outputs; o++) {
        float sum = bias[o];
        for (int i = 0; i < inputs; i++) sum += weight[o * inputs + i] * in[i];
        out[o] = sum;
    }
}

static void relu(float *values, int count) {
    for (int i = 0; i < count; i++)
        if (!(values[i] > 0)) values[i] = 0;
}

static void maximum(float *out, const float *in, int channels, int samples, int length, int kernel, int stride) {
    for (int c = 0; c < channels; c++)
        for (int t = 0; t < length; t++) {
            float most = in[c * samples + t * stride];
            for (int k = 1; k < kernel; k++)
                if (in[c * samples + t * stride + k] > most) most = in[c * samples + t * stride + k];
            out[c * length + t] = most;
        }
}

static void mean(float *out, const float *in, int channels, int samples) {
    for (int c = 0; c < channels; c++) {
        float sum = 0;
        for (int t = 0; t < samples; t++) sum += in[c * samples + t];
        out[c] = sum / (float)samples;
    }
}

static void softmax(float *values, int count) {
    float most = values[0], sum = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > most) most = values[i];
    for (int i = 0; i < count; i++) sum += values[i] = expf(values[i] - most);
    for (int i = 0; i < count; i++) values[i] /= sum;
}
