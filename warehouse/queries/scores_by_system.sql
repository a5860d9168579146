-- How does each system score in each evaluation (micro and macro WER, CER, sentence errors, SIM-o; missing speech counts)?
SELECT
    evaluation,
    protocol,
    system,
    normaliser,
    asr_model,
    speaker_model,
    count(*) AS scores,
    count(DISTINCT speaker) AS speakers,
    sum(num_words)::BIGINT AS words,
    round(sum(coalesce(duration, 0)) / 3600, 4) AS hours,
    round(100.0 * sum(word_errors) / sum(num_words), 3) AS wer_micro,
    round(100.0 * avg(word_errors / num_words), 3) AS wer_macro,
    round(100.0 * sum(character_errors) / sum(num_characters), 3) AS cer_micro,
    round(100.0 * avg(character_errors / num_characters), 3) AS cer_macro,
    round(100.0 * avg(cast(word_errors > 0 AS INTEGER)), 3) AS sentence_error,
    round(100.0 * avg(cast(word_errors > 0.5 * num_words AS INTEGER)), 3) AS catastrophic,
    round(avg(CASE WHEN path IS NULL THEN 0 ELSE cast(sim_o AS DOUBLE) END), 4) AS sim_o,
    sum(cast(path IS NULL AS INTEGER))::BIGINT AS missing,
    round(sum(generation_seconds) / nullif(sum(duration) FILTER (WHERE generation_seconds IS NOT NULL), 0), 3)
        AS real_time_factor
FROM scores
GROUP BY ALL
ORDER BY evaluation, protocol, normaliser, wer_micro, system;
