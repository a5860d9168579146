-- What are the quantiles of utterance length in each corpus, in seconds?
SELECT
    corpus,
    count(*) AS utterances,
    round(min(duration), 3) AS shortest,
    round(quantile_cont(duration, 0.05), 3) AS q05,
    round(quantile_cont(duration, 0.25), 3) AS q25,
    round(quantile_cont(duration, 0.50), 3) AS median,
    round(quantile_cont(duration, 0.75), 3) AS q75,
    round(quantile_cont(duration, 0.95), 3) AS q95,
    round(max(duration), 3) AS longest,
    round(avg(duration), 3) AS mean
FROM utterances
GROUP BY corpus
ORDER BY corpus;
