#!/bin/sh
# Runs the model in C on a phone: golden windows, latency, peak memory, thermal state.
# Wants adb with a phone, and in ANDROID_CC a C compiler for it, such as the NDK's aarch64-linux-android24-clang.
set -eu
cd "$(dirname "$0")"

if [ ! -f model.c ]; then
    echo "no model.c here: this network has no inference in C (parity.md says why), and phone.sh runs nothing else" >&2
    exit 3
fi
if ! command -v adb >/dev/null 2>&1; then
    echo "no adb here: install Android's platform tools, and switch USB debugging on in the phone" >&2
    exit 3
fi
if [ "$(adb get-state 2>/dev/null || true)" != device ]; then
    echo "no phone: adb devices lists none that is ready" >&2
    exit 3
fi
if [ -z "${ANDROID_CC:-}" ]; then
    echo "no compiler: ANDROID_CC names none, such as .../bin/aarch64-linux-android24-clang of the NDK" >&2
    exit 3
fi

there=/data/local/tmp/kdbench
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
"$ANDROID_CC" -std=c99 -O2 -static -o "$built/model" main.c model.c -lm
thermal() { adb shell dumpsys thermalservice 2>/dev/null | grep -m1 "Thermal Status" || echo "Thermal Status: not told"; }

adb shell mkdir -p "$there"
adb push "$built/model" golden.f32 golden-probabilities.f32 "$there/" >/dev/null
adb shell chmod 755 "$there/model"
echo "before: $(thermal)"
adb shell "cd $there && ./model check golden.f32 golden-probabilities.f32" | tail -n 1
adb shell "cd $there && ./model time golden.f32 ${TIMES:-2000}"
echo "after: $(thermal)"
adb shell rm -r "$there"
