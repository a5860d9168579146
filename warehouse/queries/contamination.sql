-- Does an evaluation use text, speech or speakers that its model was trained on? Every count but the first should be 0.
WITH spoken AS (
    SELECT DISTINCT s.evaluation, s.system, s.checkpoint_id, c.training_set, s.utterance, s.prompt, s.speaker,
        plain_text(coalesce(s.reference_raw, u.text, s.reference)) AS text
    FROM scores s
    LEFT JOIN (SELECT DISTINCT checkpoint_id, training_set FROM checkpoints) c ON c.checkpoint_id = s.checkpoint_id
    LEFT JOIN utterances u ON u.segment_id = s.utterance
    WHERE s.checkpoint_id IS NOT NULL
),
-- The span of each sentence and prompt in its recording: as registered, or as in the lake.
spans AS (
    SELECT utterance AS name, content_hash, "start", duration FROM evaluation_items WHERE content_hash IS NOT NULL
    UNION
    SELECT g.segment_id, r.content_hash, g."start", g.duration
    FROM segments g JOIN recordings r USING (recording_id)
    WHERE g.segment_id IN (SELECT utterance FROM spoken UNION SELECT prompt FROM spoken)
),
trained AS (
    SELECT training_set, segment_id, recording_id, speaker, plain_text(text) AS text
    FROM training_items
    WHERE split = 'train' AND training_set IN (SELECT training_set FROM spoken)
),
trained_spans AS (
    SELECT DISTINCT t.training_set, r.content_hash, r.corpus || ':' || r.book AS book, g."start", g.duration
    FROM trained t
    JOIN segments g ON g.segment_id = t.segment_id
    JOIN recordings r ON r.recording_id = t.recording_id
),
-- Neighbours that were cut apart may touch, so the first and last 50 ms do not count.
trained_audio AS (
    SELECT DISTINCT t.training_set, s.name
    FROM spans s
    JOIN trained_spans t ON t.content_hash = s.content_hash
        AND t."start" < s."start" + s.duration - 0.05 AND s."start" < t."start" + t.duration - 0.05
),
in_trained_recording AS (
    SELECT DISTINCT t.training_set, s.name FROM spans s JOIN trained_spans t USING (content_hash)
),
in_trained_book AS (
    SELECT DISTINCT t.training_set, s.name
    FROM spans s
    JOIN recordings r USING (content_hash)
    JOIN trained_spans t ON t.book = r.corpus || ':' || r.book
),
-- Long texts are compared by runs of eight words: half of them anywhere in the training texts is a near match.
spoken_runs AS (
    SELECT training_set, text, unnest(runs_of_words(words, 8)) AS run
    FROM (SELECT DISTINCT training_set, text, string_split(text, ' ') AS words FROM spoken)
),
trained_runs AS (
    SELECT DISTINCT training_set, run
    FROM (
        SELECT training_set, unnest(runs_of_words(words, 8)) AS run
        FROM (SELECT training_set, string_split(text, ' ') AS words FROM trained)
    )
    SEMI JOIN spoken_runs USING (training_set, run)
),
near_texts AS (
    SELECT training_set, text
    FROM spoken_runs LEFT JOIN (SELECT *, true AS is_trained FROM trained_runs) USING (training_set, run)
    GROUP BY training_set, text
    HAVING count(is_trained) >= 0.5 * count(*)
)
SELECT
    evaluation,
    system,
    checkpoint_id,
    count(*) AS items,
    count_if((training_set, utterance) IN (SELECT (training_set, segment_id) FROM trained))::BIGINT AS utterances_trained_on,
    count_if((training_set, prompt) IN (SELECT (training_set, segment_id) FROM trained))::BIGINT AS prompts_trained_on,
    count_if((training_set, utterance) IN (SELECT (training_set, name) FROM trained_audio))::BIGINT AS items_with_trained_audio,
    count_if((training_set, prompt) IN (SELECT (training_set, name) FROM trained_audio))::BIGINT AS prompts_with_trained_audio,
    count_if((training_set, utterance) IN (SELECT (training_set, name) FROM in_trained_recording))::BIGINT
        AS items_from_trained_recording,
    count_if((training_set, utterance) IN (SELECT (training_set, name) FROM in_trained_book))::BIGINT AS items_from_trained_book,
    count_if((training_set, speaker) IN (SELECT (training_set, speaker) FROM trained))::BIGINT AS items_with_trained_speaker,
    count_if((training_set, text) IN (SELECT (training_set, text) FROM trained))::BIGINT AS items_with_trained_text,
    count_if((training_set, text) IN (SELECT (training_set, text) FROM near_texts))::BIGINT AS items_with_near_text
FROM spoken
GROUP BY ALL
ORDER BY evaluation, system;
