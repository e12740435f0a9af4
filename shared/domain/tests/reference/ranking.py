"""Reference values for the tests of `acm2_domain::ranking`, by other methods than the code under test uses.

Needs Python 3 and nothing else. Run it to see the values; shared/domain/tests/it/ranking/reference.rs holds those that it printed:

    python3 shared/domain/tests/reference/ranking.py

Where the code takes Newton's steps on log-odds, this multiplies odds by Hunter's MM; where it counts a matrix of coincidences, this
sums over all pairs of values as alpha is defined; where it corrects W by a term for ties, this divides sums of squares; where it
adds up shares, this uses fractions; where it sums a series, this integrates the density.
"""

from fractions import Fraction
from itertools import combinations, permutations
from math import exp, lgamma, log, pi, sqrt

# Wins of the row over the column in the American League of 1987 (Agresti, "Categorical Data Analysis", 2nd ed., table 10.10).
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]


def bradley_terry(wins, prior):
    """Log-odds with mean 0, by MM (Hunter 2004); `prior` wins and losses of each against an opponent whose odds stay 1."""
    n = len(wins)
    odds = [1.0] * n
    for _ in range(1_000_000):
        new = []
        for i in range(n):
            won = prior + sum(wins[i])
            met = 2 * prior / (odds[i] + 1)
            met += sum((wins[i][j] + wins[j][i]) / (odds[i] + odds[j]) for j in range(n) if j != i)
            new.append(won / met)
        if prior == 0:
            middle = exp(sum(map(log, new)) / n)
            new = [odd / middle for odd in new]
        moved = max(abs(log(a / b)) for a, b in zip(new, odds))
        odds = new
        if moved < 1e-15:
            break
    logs = [log(odd) for odd in odds]
    return [x - sum(logs) / n for x in logs]


def made_up_wins():
    """Six answers; the last never wins, the first never loses; ties are half a win for each."""
    wins = [[0.0] * 6 for _ in range(6)]
    for i, j in combinations(range(6), 2):
        for_left = 0 if j == 0 else (3 * i + 5 * j + i * j) % 7
        for_right = 0 if i == 0 or j == 5 else (2 * i + j) % 4
        ties = 0 if i == 0 or j == 5 else (i + j) % 3
        wins[i][j] = for_left + ties / 2
        wins[j][i] = for_right + ties / 2
    return wins


def alpha(units, metric):
    """Krippendorff's alpha as 1 - D_o/D_e, with both sums over pairs of values."""
    units = [[value for value in unit if value is not None] for unit in units]
    units = [unit for unit in units if len(unit) > 1]
    everything = [value for unit in units for value in unit]
    n = len(everything)

    def distance(a, b):
        if metric == "nominal":
            return float(a != b)
        if metric == "interval":
            return float((a - b) ** 2)
        low, high = min(a, b), max(a, b)
        between = sum(1 for value in everything if low <= value <= high)
        return (between - (everything.count(a) + everything.count(b)) / 2) ** 2

    observed = sum(distance(a, b) / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)) / n
    expected = sum(distance(a, b) for a, b in permutations(everything, 2)) / (n * (n - 1))
    return 1 - observed / expected


# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", parts C and D: four observers, twelve units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def made_up_units():
    """Forty units, five judges, gaps."""

    def value(unit, judge):
        return None if (unit + 2 * judge) % 7 == 0 else (unit + (unit * judge + judge) % 3) % 5 + 1

    return [[value(unit, judge) for judge in range(5)] for unit in range(40)]


def ranks(values):
    return [sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values]


def concordance(raters):
    """Kendall's W as the sum of squares of the ranks' sums over what it would be if all ranked alike."""
    ranked = [ranks(values) for values in raters]
    sums = [sum(column) for column in zip(*ranked)]

    def squares(values):
        return sum((value - sum(values) / len(values)) ** 2 for value in values)

    return squares(sums) / (len(raters) * sum(map(squares, ranked)))


# The data set `anxiety` of R's package irr: 20 persons rated from 1 to 6 by three raters.
ANXIETY = [
    [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
    [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
    [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
]


def kappas(table):
    """Cohen's kappa and the one with squared weights, of a table of counts, in exact fractions."""
    total = sum(map(sum, table))
    rows = [Fraction(sum(row), total) for row in table]
    columns = [Fraction(sum(column), total) for column in zip(*table)]
    size = range(len(table))
    observed = sum(Fraction(table[i][i], total) for i in size)
    chance = sum(rows[i] * columns[i] for i in size)
    apart = sum((i - j) ** 2 * Fraction(table[i][j], total) for i in size for j in size)
    by_chance = sum((i - j) ** 2 * rows[i] * columns[j] for i in size for j in size)
    return (observed - chance) / (1 - chance), 1 - apart / by_chance


def cross_table(one, other, size):
    table = [[0] * size for _ in range(size)]
    for a, b in zip(one, other):
        table[a - 1][b - 1] += 1
    return table


def t_quantile(freedom):
    """The 0.975 quantile of Student's t, by Simpson's rule and halving."""
    scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * pi)

    def within(t, steps=4000):
        width = t / steps
        density = [(1 + (k * width) ** 2 / freedom) ** (-(freedom + 1) / 2) for k in range(steps + 1)]
        return scale * width / 3 * (density[0] + density[-1] + 4 * sum(density[1:-1:2]) + 2 * sum(density[2:-1:2]))

    low, high = 0.0, 50.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.475 else (low, middle)
    return low


def show(name, values):
    print(f"{name}: " + ", ".join(f"{float(value):.12f}" for value in values))


if __name__ == "__main__":
    strengths = bradley_terry(BASEBALL, 0)
    show("Bradley-Terry, baseball, Baltimore = 0", [x - strengths[-1] for x in strengths])
    show("Bradley-Terry, baseball, prior 1/2, mean 0", bradley_terry(BASEBALL, 0.5))
    show("Bradley-Terry, made up, prior 1/2, mean 0", bradley_terry(made_up_wins(), 0.5))
    show("Bradley-Terry, made up, prior 1/100, mean 0", bradley_terry(made_up_wins(), 0.01))
    for name, units in [("Krippendorff", list(zip(*OBSERVERS))), ("made up", made_up_units())]:
        show(f"alpha, {name}, nominal ordinal interval", [alpha(units, m) for m in ("nominal", "ordinal", "interval")])
    show("W, anxiety", [concordance(ANXIETY)])
    show("W, made up", [concordance([[(3 * i * i + 5 * j * i + j) % 6 for i in range(9)] for j in range(4)])])
    show("kappa, Cohen 1960", kappas([[88, 14, 18], [10, 40, 10], [2, 6, 12]]))
    show("kappa, anxiety 1 2", kappas(cross_table(ANXIETY[0], ANXIETY[1], 6)))
    show("kappa, anxiety 2 3", kappas(cross_table(ANXIETY[1], ANXIETY[2], 6)))
    show("t(0.975) of 1 2 3 4 5 10 30 100", [t_quantile(freedom) for freedom in (1, 2, 3, 4, 5, 10, 30, 100)])
