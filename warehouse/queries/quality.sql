-- How good is the speech of each corpus (quantiles of every quality score and measure)?
WITH measures AS (
    UNPIVOT (
        SELECT
            corpus,
            cast(dnsmos_ovrl AS DOUBLE) AS dnsmos_ovrl,
            cast(dnsmos_p808 AS DOUBLE) AS dnsmos_p808,
            cast(distillmos AS DOUBLE) AS distillmos,
            cast(snr AS DOUBLE) AS snr,
            cast(bandwidth AS DOUBLE) AS bandwidth,
            cast(loudness AS DOUBLE) AS loudness,
            cast(clipping AS DOUBLE) AS clipping
        FROM current_quality
        WHERE drop_reason IS NULL
    )
    ON dnsmos_ovrl, dnsmos_p808, distillmos, snr, bandwidth, loudness, clipping INTO NAME measure VALUE score
)
SELECT
    corpus,
    measure,
    count(*) AS segments,
    round(quantile_cont(score, 0.05), 4) AS q05,
    round(quantile_cont(score, 0.25), 4) AS q25,
    round(quantile_cont(score, 0.50), 4) AS median,
    round(quantile_cont(score, 0.75), 4) AS q75,
    round(quantile_cont(score, 0.95), 4) AS q95,
    round(avg(score), 4) AS mean
FROM measures
GROUP BY corpus, measure
ORDER BY measure, corpus;
