-- What the family has done so far: 100 agents with 2,000 tasks each.
-- Rows fit one another by how they are made: that is not checked for each.
SET session_replication_role = replica;

INSERT INTO agent (name, model, instructions)
SELECT 'agent ' || n, 'small', 'Answer briefly.' FROM generate_series(1, 100) n;

INSERT INTO knowledge (agent, id, text)
SELECT a, 'topic-' || n, repeat('What agent ' || a || ' knows of topic ' || n || '. ', 20)
FROM generate_series(1, 100) a, generate_series(1, 10) n;

INSERT INTO workflow (name, state, ended_at)
SELECT 'workflow ' || n, 'completed', now() FROM generate_series(1, 10000) n;

-- 20 tasks of each workflow, those of one agent scattered over all of them.
INSERT INTO task (workflow, agent, prompt, knowledge, state, ended_at)
SELECT (n - 1) / 20 + 1, n % 100 + 1, 'question ' || n, 'topic-' || n % 10 + 1, 'completed', now()
FROM generate_series(1, 200000) n;

INSERT INTO task_result (task, answer, tokens, seconds, epoch, counter)
SELECT n, 'answer ' || n, n % 900 + 100, (n % 400 + 100) / 100.0, 0, 0
FROM generate_series(1, 200000) n;

RESET session_replication_role;
ANALYZE;
