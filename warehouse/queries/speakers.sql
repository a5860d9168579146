-- Which speakers are there, with how many minutes in how many recordings?
SELECT
    coalesce(speaker, 'unknown') AS speaker,
    corpus,
    count(*) AS utterances,
    count(DISTINCT recording_id) AS recordings,
    round(sum(duration) / 60, 3) AS minutes,
    round(avg(dnsmos_ovrl), 3) AS mean_dnsmos,
    list(DISTINCT language ORDER BY language) AS languages
FROM utterances
GROUP BY coalesce(speaker, 'unknown'), corpus
ORDER BY minutes DESC, speaker;
