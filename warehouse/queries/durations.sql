-- How long are the utterances of each corpus (a histogram in bins of one second)?
SELECT
    corpus,
    floor(duration) AS bin_start,
    floor(duration) + 1 AS bin_end,
    count(*) AS utterances,
    round(sum(duration) / 3600, 4) AS hours
FROM utterances
GROUP BY ALL
ORDER BY corpus, bin_start;
