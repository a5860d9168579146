-- Which systems are best (each by its best evaluation), ranked among those with equal items and metric models?
WITH measured AS (
    SELECT
        evaluation,
        protocol,
        system,
        any_value(checkpoint_id) AS checkpoint_id,
        normaliser,
        asr_model,
        speaker_model,
        -- Scores without the hash of a list are on one list when they name the same utterances and prompts.
        coalesce(any_value(items_hash), md5(cast(list(DISTINCT spoken ORDER BY spoken) AS VARCHAR))) AS items_hash,
        count(DISTINCT utterance) AS items,
        count(*) AS scores,
        100.0 * sum(word_errors) / sum(num_words) AS wer_micro,
        avg(CASE WHEN path IS NULL THEN 0 ELSE cast(sim_o AS DOUBLE) END) AS sim_o,
        sum(cast(path IS NULL AS INTEGER))::BIGINT AS missing
    FROM (SELECT *, utterance || ' ' || coalesce(prompt, '') AS spoken FROM scores)
    GROUP BY evaluation, protocol, system, normaliser, asr_model, speaker_model
),
truth AS (
    SELECT evaluation, protocol, normaliser, asr_model, speaker_model, sim_o AS truth_sim_o, wer_micro AS truth_wer
    FROM measured
    WHERE system = 'ground_truth'
),
best AS (
    SELECT *, list(evaluation) OVER same_terms AS evaluations
    FROM measured
    LEFT JOIN truth USING (evaluation, protocol, normaliser, asr_model, speaker_model)
    WHERE NOT regexp_matches(system, '^(ground_truth|codec|shuffled_speaker|prompt_copied|espeak)(_|$)')
    WINDOW same_terms AS (PARTITION BY protocol, items_hash, normaliser, asr_model, speaker_model, system)
    QUALIFY row_number() OVER (
        PARTITION BY protocol, items_hash, normaliser, asr_model, speaker_model, system
        ORDER BY wer_micro, sim_o DESC, evaluation
    ) = 1
)
SELECT
    best.protocol,
    best.items_hash,
    best.items,
    best.normaliser,
    best.asr_model,
    best.speaker_model,
    rank() OVER (
        PARTITION BY best.protocol, best.items_hash, best.normaliser, best.asr_model, best.speaker_model
        ORDER BY best.wer_micro
    ) AS place,
    best.system,
    checkpoints.run_id,
    checkpoints.step,
    checkpoints.training_set,
    round(best.wer_micro, 3) AS wer_micro,
    round(best.truth_wer, 3) AS ground_truth_wer,
    round(best.sim_o, 4) AS sim_o,
    round(best.sim_o / nullif(best.truth_sim_o, 0), 4) AS sim_o_of_ground_truth,
    best.missing,
    best.scores,
    best.evaluation,
    list_sort(best.evaluations) AS evaluations
FROM best
LEFT JOIN checkpoints USING (checkpoint_id)
ORDER BY
    best.protocol, best.items_hash, best.normaliser, best.asr_model, best.speaker_model, place, best.system;
