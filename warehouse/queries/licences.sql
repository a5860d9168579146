-- Which licences does the usable speech have, and from which corpora?
SELECT
    licence,
    origin,
    count(*) AS utterances,
    round(sum(duration) / 3600, 4) AS hours,
    count(DISTINCT speaker) AS speakers,
    list(DISTINCT corpus ORDER BY corpus) AS corpora
FROM utterances
GROUP BY licence, origin
ORDER BY hours DESC, licence, origin;
