-- The family's database. Each table is written by one service.

-- agent_designer
CREATE TABLE agent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    model text NOT NULL,
    instructions text NOT NULL
);

-- workflow_engine; its outbox it makes itself.
CREATE TABLE workflow (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'completed', 'failed')),
    ended_at timestamptz
);
CREATE TABLE task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow bigint NOT NULL REFERENCES workflow,
    agent bigint NOT NULL REFERENCES agent,
    prompt text NOT NULL,
    knowledge text NOT NULL,
    state text NOT NULL DEFAULT 'created' CHECK (state IN ('created', 'completed', 'failed')),
    ended_at timestamptz
);
CREATE INDEX task_of_workflow ON task (workflow);
CREATE INDEX task_of_agent ON task (agent);
CREATE INDEX task_open ON task (id) WHERE ended_at IS NULL;

-- ai_model
CREATE TABLE knowledge (
    agent bigint NOT NULL REFERENCES agent,
    id text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (agent, id)
);
CREATE TABLE task_result (
    task bigint PRIMARY KEY REFERENCES task,
    answer text NOT NULL,
    tokens integer NOT NULL,
    seconds double precision NOT NULL,
    -- The number of the lock under which it was written: a row is not changed by a holder of a lower one.
    epoch bigint NOT NULL,
    counter bigint NOT NULL
);
