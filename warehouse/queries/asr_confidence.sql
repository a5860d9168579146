-- How sure was the ASR, by corpus and language (quantiles of the mean token probability)?
SELECT
    corpus,
    coalesce(language, 'unknown') AS language,
    model,
    count(*) AS transcripts,
    round(quantile_cont(exp(average_logprob), 0.05), 4) AS q05,
    round(quantile_cont(exp(average_logprob), 0.25), 4) AS q25,
    round(quantile_cont(exp(average_logprob), 0.50), 4) AS median,
    round(quantile_cont(exp(average_logprob), 0.75), 4) AS q75,
    round(quantile_cont(exp(average_logprob), 0.95), 4) AS q95,
    round(avg(cast(no_speech_probability > 0.5 AS INTEGER)), 4) AS no_speech_share,
    round(avg(cast(compression_ratio > 2.4 AS INTEGER)), 4) AS repetitive_share
FROM current_transcripts
WHERE average_logprob IS NOT NULL
GROUP BY ALL
ORDER BY corpus, language, model;
