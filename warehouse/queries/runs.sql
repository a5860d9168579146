-- What did the newest checkpoint of each run cost, what are its losses, and how was it scored?
WITH newest AS (
    SELECT *
    FROM checkpoints
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY step DESC) = 1
),
scored AS (
    SELECT
        checkpoint_id,
        100.0 * sum(word_errors) / sum(num_words) AS wer,
        avg(CASE WHEN path IS NULL THEN 0 ELSE cast(sim_o AS DOUBLE) END) AS sim_o,
        count(*) AS scores
    FROM scores
    WHERE checkpoint_id IS NOT NULL
    GROUP BY checkpoint_id
)
SELECT
    newest.run_id,
    newest.step,
    newest.training_set,
    coalesce(newest.config ->> '$.trunk', 'llama') AS trunk,
    newest.config ->> '$.model' AS model,
    cast(newest.config ->> '$.seed' AS BIGINT) AS seed,
    cast(newest.metrics ->> '$.parameters' AS BIGINT) AS parameters,
    cast(newest.metrics ->> '$.tokens' AS BIGINT) AS tokens,
    cast(newest.metrics ->> '$.loss' AS DOUBLE) AS loss,
    cast(newest.metrics ->> '$.dev_loss' AS DOUBLE) AS dev_loss,
    cast(newest.metrics ->> '$.dev_loss_ar' AS DOUBLE) AS dev_loss_ar,
    cast(newest.metrics ->> '$.dev_loss_nar_len' AS DOUBLE) AS dev_loss_nar_len,
    cast(newest.metrics ->> '$.dev_loss_nar' AS DOUBLE) AS dev_loss_nar,
    cast(newest.metrics ->> '$.tokens_per_second' AS DOUBLE) AS tokens_per_second,
    cast(newest.metrics ->> '$.elapsed' AS DOUBLE) AS seconds,
    round(scored.wer, 3) AS wer,
    round(scored.sim_o, 4) AS sim_o,
    scored.scores
FROM newest
LEFT JOIN scored USING (checkpoint_id)
ORDER BY newest.run_id;
