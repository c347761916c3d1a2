"""What a difference between methods is worth: pure functions of numbers, which know no record and no table.

`means` and `distributions` load no library; the others load numpy.

=================  =====================================================================================
`means`            the mean, exactly rounded
`distributions`    Student's t and chi-squared, for whole degrees of freedom
`tests`            the sign-flip test, all pairs of methods at once (max-T), Holm's correction
`intervals`        of a difference by inverting the sign-flip test, of a score by drawing people again
`variance`         how much of the noise is people and how much is seeds
`ranks`            average ranks, win/tie/lose, Friedman's test
`simulated`        how often these tests cry wolf: on people of known truth, and on a method beside itself
=================  =====================================================================================
"""

from kdbench.results.statistics.means import mean

__all__ = ["mean"]
