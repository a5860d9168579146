-- How many hours of usable speech are there in each language, and by how many speakers?
SELECT
    coalesce(language, 'unknown') AS language,
    count(*) AS utterances,
    round(sum(duration) / 3600, 4) AS hours,
    count(DISTINCT speaker) AS speakers,
    count(DISTINCT corpus) AS corpora,
    round(avg(duration), 3) AS mean_duration
FROM utterances
GROUP BY ALL
ORDER BY hours DESC, language;
