-- How far is the text of each corpus from its transcription (word error rate, 0 to 1 and above)?
SELECT
    corpus,
    model,
    count(*) AS transcripts,
    round(avg(disagreement), 4) AS mean,
    round(quantile_cont(disagreement, 0.50), 4) AS median,
    round(quantile_cont(disagreement, 0.90), 4) AS q90,
    round(quantile_cont(disagreement, 0.99), 4) AS q99,
    round(avg(cast(disagreement = 0 AS INTEGER)), 4) AS identical_share,
    round(avg(cast(disagreement > 0.5 AS INTEGER)), 4) AS above_half_share,
    arg_max(segment_id, disagreement) AS worst_segment,
    arg_max(given_text, disagreement) AS worst_given_text,
    arg_max(asr_text, disagreement) AS worst_asr_text
FROM current_transcripts
WHERE disagreement IS NOT NULL
GROUP BY corpus, model
ORDER BY corpus, model;
