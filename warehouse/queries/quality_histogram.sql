-- How are DNSMOS (bins of 0.1) and the signal-to-noise ratio (bins of 2 dB) distributed in each corpus?
WITH measures AS (
    SELECT corpus, 'dnsmos_ovrl' AS measure, 0.1 AS bin_width, cast(dnsmos_ovrl AS DOUBLE) AS score
    FROM current_quality
    WHERE drop_reason IS NULL
    UNION ALL
    SELECT corpus, 'snr' AS measure, 2.0 AS bin_width, cast(snr AS DOUBLE) AS score
    FROM current_quality
    WHERE drop_reason IS NULL
)
SELECT
    measure,
    corpus,
    round(floor(score / bin_width) * bin_width, 4)::DOUBLE AS bin_start,
    round((floor(score / bin_width) + 1) * bin_width, 4)::DOUBLE AS bin_end,
    count(*) AS segments
FROM measures
WHERE score IS NOT NULL
GROUP BY ALL
ORDER BY measure, corpus, bin_start;
