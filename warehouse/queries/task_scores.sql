-- How good is each checkpoint in each task, beside returning its input and beside the right answer?
SELECT
    checkpoint_id,
    training_set,
    task,
    metric,
    round(avg(value) FILTER (system = 'checkpoint'), 4) AS checkpoint,
    round(avg(value) FILTER (system = 'input'), 4) AS "input",
    round(avg(value) FILTER (system = 'other'), 4) AS other,
    round(avg(value) FILTER (system = 'truth'), 4) AS truth,
    round(avg(value) FILTER (system = 'asr'), 4) AS asr,
    count(DISTINCT utterance) AS utterances,
    count(DISTINCT speaker) AS speakers
FROM task_scores
GROUP BY ALL
ORDER BY checkpoint_id, training_set, task, metric;
