"""The run store: one folder a cell, a record means done.

::

    runs/<digest>/record.json       the result; written last, so that it means done
                  predictions.npz   logits, labels, people and rows of the evaluation windows
                  student.pt        the deployed model's weights (`torch.load` with ``weights_only=True``)
                  use.json          what those weights are used with: normalisation, channels, units, rate, classes
                  deploy.json       how the form that goes to a device did, once `kdbench take` made it
                  curve.csv         losses and facts of every epoch
                  traceback.txt     of a cell that failed by an error
                  checkpoint.pt     while running: everything that the next epoch needs
                  epoch             while running: epochs done
    runs/matrices/<name>-<hash>.json   matrices that were run here
    runs/plans/<name>-<hash>.json      the cells and places that each was written out to
"""
