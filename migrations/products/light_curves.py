"""SQL that keeps the light curve of each source in numbers: in steps as measurements come, and from the rows.

For each flux type (``integrated``: flux_jy, ``peak``: peak_jyb) ``contimg_api_source`` holds sums from which the views
make the published metrics. A column is called ``<type>_<sum>``:

=====================  ================================================================================================
n, mean, rest, m2      fluxes, their mean (``mean + rest``), Σ (I − Ī)²
pairs, weight          fluxes with a usable error, Σ w of them with w = 1/σ²
wmean, wrest, chi2     their weighted mean I* (``wmean + wrest``), Σ w (I − I*)²
m, vs2                 largest m among significant pairs and Vs² of that pair; 0 where no pair is significant
low, high, best_err    least and largest flux, least usable error
snr, first, last       largest S/N, first and last MJD at which a flux is known
=====================  ================================================================================================

Steps are Welford's, for weights West's, with the mean carried in two doubles: a bright steady source scatters by less
than its mean can be written down to in one. Nothing is ever subtracted from a sum. A source of which a measurement was
withdrawn or changed is ``unsettled`` instead, and settled from its rows, in two passes, by its next measurement.

Of the pairs, a new flux makes one with each earlier flux, but need hardly ever be compared with them: it cannot do
better than with the extremes. For S₁ + S₂ > 0, m grows with the larger flux (where the smaller is positive) and falls
with the smaller; Vs grows with the distance, and the least error bounds it. A pair whose sum is not positive, as only
forced measurements of the sky make, has no modulation and is left out.

Only functions that every SQLite has: triggers run in the pipeline's process.
"""

from __future__ import annotations

from migrations.products.laying import columns, read

FLUXES = {"integrated": (("flux_jy",), "flux_err_jy"), "peak": (("peak_jyb", "peak_flux_jy"), "peak_err_jyb")}
WATCHED = ("flux_jy", "flux_err_jy", "peak_jyb", "peak_flux_jy", "peak_err_jyb", "snr")

# Beyond these a number is not a flux, an error or a date, and its square would not be a number.
BOUNDS = "BETWEEN -1e75 AND 1e75"
ERROR_BOUNDS = "BETWEEN 1e-75 AND 1e75"
SIGNIFICANT = "18.49"  # 4.3²: Mooley et al. 2016, ApJ 818, 105

# What each sum is before the first flux.
NOTHING = {
    "n": "0", "mean": "0.0", "rest": "0.0", "m2": "0.0",
    "pairs": "0", "weight": "0.0", "wmean": "0.0", "wrest": "0.0", "chi2": "0.0",
    "m": "0.0", "vs2": "0.0", "low": "9e999", "high": "-9e999", "best_err": "9e999",
    "snr": "-9e999", "first": "9e999", "last": "-9e999",
}  # fmt: skip

# A measurement joins what is known. Each storey of the subquery names what the one above needs more than once.
STEP = """({names}) = (
                SELECT {t}_n + 1, {t}_mean + s.step, ({t}_mean - ({t}_mean + s.step)) + s.step,
                    {t}_m2 + s.off * s.off * {t}_n / ({t}_n + 1),
                    {t}_pairs + (s.w > 0.0), {t}_weight + s.w,
                    {t}_wmean + ({t}_wrest + s.woff * s.share),
                    ({t}_wmean - ({t}_wmean + ({t}_wrest + s.woff * s.share))) + ({t}_wrest + s.woff * s.share),
                    {t}_chi2 + {t}_weight * s.share * s.woff * s.woff,
                    CASE WHEN s.x < {t}_low THEN s.x ELSE {t}_low END,
                    CASE WHEN s.x > {t}_high THEN s.x ELSE {t}_high END,
                    CASE WHEN s.e < {t}_best_err THEN s.e ELSE {t}_best_err END,
                    CASE WHEN s.snr > {t}_snr THEN s.snr ELSE {t}_snr END,
                    CASE WHEN s.date < {t}_first THEN s.date ELSE {t}_first END,
                    CASE WHEN s.date > {t}_last THEN s.date ELSE {t}_last END
                FROM (SELECT f.x AS x, f.e AS e, f.w AS w, f.off AS off, f.woff AS woff, f.date AS date,
                        {t}_rest + f.off / ({t}_n + 1) AS step, ifnull(f.snr, f.x / f.e) AS snr,
                        ifnull(f.w / ({t}_weight + f.w), 0.0) AS share
                    FROM (SELECT h.x AS x, h.e AS e, h.date AS date, h.snr AS snr,
                            ifnull(1.0 / (h.e * h.e), 0.0) AS w,
                            (h.x - {t}_mean) - {t}_rest AS off, (h.x - {t}_wmean) - {t}_wrest AS woff
                        FROM (SELECT {flux} AS x, {error} AS e, {date} AS date, {snr} AS snr LIMIT 1) AS h
                        WHERE h.x IS NOT NULL LIMIT 1) AS f LIMIT 1) AS s
                UNION ALL SELECT {names} LIMIT 1)"""

# The pairs that it makes, in a scan of the source's rows that hardly ever takes place.
STEP_PAIRS = """({t}_m, {t}_vs2) = (
                SELECT {t}_m, {t}_vs2 FROM {new} AS f WHERE ({rival}) IS NOT TRUE
                UNION ALL SELECT v.m, v.vs2 FROM (
                    SELECT u.m AS m, u.vs2 AS vs2 FROM (
                        SELECT {t}_m AS m, {t}_vs2 AS vs2
                        UNION ALL SELECT 2.0 * abs(q.x - f.x) / (q.x + f.x),
                            (q.x - f.x) * (q.x - f.x) / (q.e * q.e + f.e * f.e)
                        FROM {new} AS f JOIN (SELECT {flux} AS x, {error} AS e FROM photometry AS p
                            WHERE p.source_id = NEW.source_id AND p.id <> NEW.id LIMIT -1) AS q
                        WHERE q.x + f.x > 0.0
                            AND (q.x - f.x) * (q.x - f.x) >= {sig} * (q.e * q.e + f.e * f.e)) AS u
                    ORDER BY u.m DESC, u.vs2 DESC LIMIT 1) AS v
                LIMIT 1)"""

# Whether it might make a pair as good as the best so far, judged by the extremes.
RIVAL = """{t}_pairs > 0 AND (
                    (f.x - {t}_low) * (f.x - {t}_low) >= {sig} * (f.e * f.e + {t}_best_err * {t}_best_err)
                    AND ({t}_low <= 0.0 OR 2.0 * (f.x - {t}_low) / (f.x + {t}_low) >= {t}_m)
                    OR ({t}_high - f.x) * ({t}_high - f.x) >= {sig} * (f.e * f.e + {t}_best_err * {t}_best_err)
                    AND (f.x <= 0.0 OR 2.0 * ({t}_high - f.x) / ({t}_high + f.x) >= {t}_m))"""

# -- from the rows, for the sources that {which} holds for

FIRST_PASS = """
        UPDATE contimg_api_source SET {zero}, ({names}) = (
            SELECT {aggregates} FROM {rows} AS r)
        WHERE {which};"""
FIRST = {
    "n": "count(r.{t}_x)", "mean": "ifnull(avg(r.{t}_x), 0.0)",
    "pairs": "count(r.{t}_w)", "weight": "total(r.{t}_w)",
    "wmean": "ifnull(sum(r.{t}_w * r.{t}_x) / sum(r.{t}_w), 0.0)",
    "low": "ifnull(min(r.{t}_x), 9e999)", "high": "ifnull(max(r.{t}_x), -9e999)",
    "best_err": "ifnull(min(r.{t}_e), 9e999)", "snr": "ifnull(max(r.{t}_snr), -9e999)",
    "first": "ifnull(min(r.{t}_date), 9e999)", "last": "ifnull(max(r.{t}_date), -9e999)",
}  # fmt: skip

SECOND_PASS = """
        UPDATE contimg_api_source SET ({names}) = (
            SELECT {aggregates} FROM {rows} AS r)
        WHERE {which};"""
OFF, WOFF, WEIGHT = "(r.{t}_x - {t}_mean)", "(r.{t}_x - {t}_wmean)", "r.{t}_w"
SECOND = {
    "rest": f"ifnull(avg({OFF}), 0.0)",
    "m2": f"max(0.0, total({OFF} * {OFF}) - ifnull(avg({OFF}) * sum({OFF}), 0.0))",
    "wrest": f"ifnull(sum({WEIGHT} * {WOFF}) / sum({WEIGHT}), 0.0)",
    "chi2": f"max(0.0, total({WEIGHT} * {WOFF} * {WOFF}) "
    f"- ifnull(sum({WEIGHT} * {WOFF}) * (sum({WEIGHT} * {WOFF}) / sum({WEIGHT})), 0.0))",
}

# Pairs with the largest flux first; what beats them lies between fluxes near both extremes.
PAIRS = """
        UPDATE contimg_api_source SET ({t}_m, {t}_vs2) = (
            SELECT u.m, u.vs2 FROM (
                SELECT 2.0 * (a.x - b.x) / (a.x + b.x) AS m, (a.x - b.x) * (a.x - b.x) / (a.e * a.e + b.e * b.e) AS vs2
                FROM {rows} AS a JOIN {rows} AS b
                WHERE {among} AND a.x > b.x AND a.x + b.x > 0.0
                    AND (a.x - b.x) * (a.x - b.x) >= {sig} * (a.e * a.e + b.e * b.e)
                UNION ALL SELECT {t}_m, {t}_vs2) AS u
            ORDER BY u.m DESC, u.vs2 DESC LIMIT 1)
        WHERE {which} AND {t}_pairs > 1
            AND ({t}_high - {t}_low) * ({t}_high - {t}_low) >= {sig} * 2.0 * {t}_best_err * {t}_best_err;"""
WITH_HIGHEST = "a.x = {t}_high"
NEAR_EXTREMES = """
                    (a.x - {t}_low) * (a.x - {t}_low) >= {sig} * (a.e * a.e + {t}_best_err * {t}_best_err)
                    AND ({t}_high - b.x) * ({t}_high - b.x) >= {sig} * (b.e * b.e + {t}_best_err * {t}_best_err)
                    AND ({t}_low <= 0.0 OR 2.0 * (a.x - {t}_low) / (a.x + {t}_low) >= {t}_m)
                    AND (b.x <= 0.0 OR 2.0 * ({t}_high - b.x) / ({t}_high + b.x) >= {t}_m)"""


def flux_types() -> list[str]:
    """Flux types that this file has columns for."""
    present = columns("photometry")
    return [kind for kind, (names, _) in FLUXES.items() if present.intersection(names)]


def declarations() -> str:
    """The columns of both flux types, for CREATE TABLE. Without a type SQLite need not look whether a REAL is one."""
    return ", ".join(f"{kind}_{name} NOT NULL DEFAULT ({start})" for kind in FLUXES for name, start in NOTHING.items())


def steps(mjd: str) -> str:
    """Assignments by which the row ``NEW`` of photometry joins its source; ``mjd`` is SQL for its date."""
    return "".join(f",\n            {_step(kind, mjd)},\n            {_step_pairs(kind)}" for kind in flux_types())


def settle(which: str, mjd: str) -> str:
    """Statements that work out, from the rows, the light curves of the sources that ``which`` holds for.

    Parameters
    ----------
    which
        SQL condition on ``contimg_api_source``.
    mjd
        SQL for the date of a row ``p`` of photometry.
    """
    kinds = flux_types()
    if not kinds:
        return ""
    rows = _rows(kinds, mjd)
    zero = ", ".join(f"{kind}_{name} = 0.0" for kind in kinds for name in ("m", "vs2"))
    passes = FIRST_PASS.format(zero=zero, rows=rows, which=which, **_aggregates(FIRST, kinds))
    passes += SECOND_PASS.format(rows=rows, which=which, **_aggregates(SECOND, kinds))
    return passes + "".join(_pairs(kind, which) for kind in kinds)


def _step(kind: str, mjd: str) -> str:
    names = ", ".join(f"{kind}_{name}" for name in NOTHING if name not in {"m", "vs2"})
    new = {"flux": _flux("NEW", kind), "error": _error("NEW", kind)}
    return STEP.format(t=kind, names=names, date=_within(mjd), snr=_snr("NEW"), **new)


def _step_pairs(kind: str) -> str:
    new = f"(SELECT {_flux('NEW', kind)} AS x, {_error('NEW', kind)} AS e LIMIT 1)"
    rival = RIVAL.format(t=kind, sig=SIGNIFICANT)
    flux, error = _flux("p", kind), _error("p", kind)
    return STEP_PAIRS.format(t=kind, new=new, rival=rival, flux=flux, error=error, sig=SIGNIFICANT)


def _rows(kinds: list[str], mjd: str) -> str:
    """Subquery: measurements of a source, of each type flux, error, weight, S/N and date, NULL where missing."""
    selected = ", ".join(
        f"{x} AS {kind}_x, CASE WHEN {x} IS NOT NULL THEN {e} END AS {kind}_e, "
        f"CASE WHEN {x} IS NOT NULL THEN 1.0 / ({e} * {e}) END AS {kind}_w, "
        f"CASE WHEN {x} IS NOT NULL THEN ifnull({_snr('p')}, {x} / {e}) END AS {kind}_snr, "
        f"CASE WHEN {x} IS NOT NULL THEN {_within(mjd)} END AS {kind}_date"
        for kind, x, e in ((kind, _flux("p", kind), _error("p", kind)) for kind in kinds)
    )
    return f"(SELECT {selected} FROM photometry AS p WHERE p.source_id = contimg_api_source.source_id)"


def _aggregates(sums: dict[str, str], kinds: list[str]) -> dict[str, str]:
    return {
        "names": ", ".join(f"{kind}_{name}" for kind in kinds for name in sums),
        "aggregates": ", ".join(aggregate.format(t=kind) for kind in kinds for aggregate in sums.values()),
    }


def _pairs(kind: str, which: str) -> str:
    rows = (
        f"(SELECT {_flux('p', kind)} AS x, {_error('p', kind)} AS e FROM photometry AS p "
        "WHERE p.source_id = contimg_api_source.source_id)"
    )
    return "".join(
        PAIRS.format(among=among.format(t=kind, sig=SIGNIFICANT), t=kind, rows=rows, which=which, sig=SIGNIFICANT)
        for among in (WITH_HIGHEST, NEAR_EXTREMES)
    )


def _flux(alias: str, kind: str) -> str:
    present = columns("photometry")
    named = [read(alias, name, present) for name in FLUXES[kind][0] if name in present]
    return _within(named[0] if len(named) == 1 else f"coalesce({', '.join(named)})")


def _error(alias: str, kind: str) -> str:
    return _within(read(alias, FLUXES[kind][1], columns("photometry")), ERROR_BOUNDS)


def _snr(alias: str) -> str:
    return _within(read(alias, "snr", columns("photometry")))


def _within(value: str, bounds: str = BOUNDS) -> str:
    return "NULL" if value == "NULL" else f"CASE WHEN {value} {bounds} THEN {value} END"
