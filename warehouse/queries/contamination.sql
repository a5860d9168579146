-- Does an evaluation use text, speech or speakers that its model was trained on? Every count but the first should be 0.
WITH trained AS (
    SELECT DISTINCT checkpoints.checkpoint_id, training_items.segment_id, training_items.speaker, training_items.text
    FROM checkpoints
    JOIN training_items USING (training_set)
    WHERE training_items.split = 'train'
),
spoken AS (
    SELECT DISTINCT
        scores.evaluation, scores.system, scores.checkpoint_id, scores.utterance, scores.prompt, scores.speaker,
        utterances.text
    FROM scores
    LEFT JOIN utterances ON utterances.segment_id = scores.utterance
    WHERE scores.checkpoint_id IS NOT NULL
)
SELECT
    evaluation,
    system,
    checkpoint_id,
    count(*) AS items,
    sum(cast((checkpoint_id, utterance) IN (SELECT (checkpoint_id, segment_id) FROM trained) AS INTEGER))::BIGINT
        AS utterances_trained_on,
    sum(cast((checkpoint_id, prompt) IN (SELECT (checkpoint_id, segment_id) FROM trained) AS INTEGER))::BIGINT
        AS prompts_trained_on,
    sum(cast((checkpoint_id, speaker) IN (SELECT (checkpoint_id, speaker) FROM trained) AS INTEGER))::BIGINT
        AS items_with_trained_speaker,
    sum(cast((checkpoint_id, text) IN (SELECT (checkpoint_id, text) FROM trained) AS INTEGER))::BIGINT
        AS items_with_trained_text
FROM spoken
GROUP BY ALL
ORDER BY evaluation, system;
