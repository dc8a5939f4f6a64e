//! Workflows and their tasks. What happens to them is written together with the events that tell of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use cachebus::{CacheBus, Event, Keyspace, Outbox, Stopper, cached};
use deadpool_postgres::{Pool, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use services::{Answer, forget_again, found};
use tokio_postgres::NoTls;

/// How often results are looked for in the database while nobody may tell of them.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Serialize, Deserialize)]
struct Workflow {
    id: i64,
    name: String,
    state: String,
    tasks: Vec<Task>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Task {
    id: i64,
    workflow: i64,
    agent: i64,
    prompt: String,
    knowledge: String,
    state: String,
}

/// What is asked of the engine.
#[derive(Deserialize)]
struct Order {
    name: String,
    tasks: Vec<OrderedTask>,
}

#[derive(Deserialize)]
struct OrderedTask {
    agent: i64,
    prompt: String,
    /// What of its knowledge the agent is to use.
    #[serde(default)]
    knowledge: String,
}

/// What was begun.
#[derive(Serialize)]
struct Started {
    id: i64,
}

struct WorkflowEngine {
    bus: CacheBus,
    workflows: Keyspace<Workflow>,
    tasks: Keyspace<Task>,
    outbox: Outbox,
    database: Pool,
}

impl WorkflowEngine {
    #[cached(keyspace = self.workflows)]
    async fn workflow(&self, id: i64) -> anyhow::Result<Option<Workflow>> {
        let database = self.database.get().await?;
        let workflow = "SELECT name, state FROM workflow WHERE id = $1";
        let statement = database.prepare_cached(workflow).await?;
        let Some(row) = database.query_opt(&statement, &[&id]).await? else {
            return Ok(None);
        };
        let tasks = "SELECT id, workflow, agent, prompt, knowledge, state FROM task
            WHERE workflow = $1 ORDER BY id";
        let statement = database.prepare_cached(tasks).await?;
        let tasks = database.query(&statement, &[&id]).await?;
        Ok(Some(Workflow {
            id,
            name: row.get(0),
            state: row.get(1),
            tasks: tasks.iter().map(Task::of).collect(),
        }))
    }

    #[cached(keyspace = self.tasks)]
    async fn task(&self, id: i64) -> anyhow::Result<Option<Task>> {
        let database = self.database.get().await?;
        let task = "SELECT id, workflow, agent, prompt, knowledge, state FROM task WHERE id = $1";
        let statement = database.prepare_cached(task).await?;
        let row = database.query_opt(&statement, &[&id]).await?;
        Ok(row.as_ref().map(Task::of))
    }

    /// Rows and events are committed together: however this process or the bus ends, either all of it has happened or nothing.
    async fn start(&self, order: &Order) -> anyhow::Result<i64> {
        let mut database = self.database.get().await?;
        let transaction = database.transaction().await?;
        let insert = "INSERT INTO workflow (name) VALUES ($1) RETURNING id";
        let statement = transaction.prepare_cached(insert).await?;
        let row = transaction.query_one(&statement, &[&order.name]).await?;
        let id: i64 = row.get(0);
        let started = json!({"id": id, "name": order.name});
        self.add(&transaction, "workflow:started", id, &started)
            .await?;
        let insert = "INSERT INTO task (workflow, agent, prompt, knowledge)
            VALUES ($1, $2, $3, $4) RETURNING id";
        let statement = transaction.prepare_cached(insert).await?;
        for task in &order.tasks {
            let row = transaction
                .query_one(
                    &statement,
                    &[&id, &task.agent, &task.prompt, &task.knowledge],
                )
                .await?;
            let created = json!({"id": row.get::<_, i64>(0), "workflow": id, "agent": task.agent});
            self.add(&transaction, "task:created", id, &created).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    /// A task has ended, and with the last one its workflow. It may be told of twice: the second time nothing is left to do.
    async fn task_ended(&self, task: i64, state: &str) -> anyhow::Result<()> {
        let mut database = self.database.get().await?;
        let transaction = database.transaction().await?;
        // One after the other: else the last two of a workflow might each take the other for open.
        let lock = "SELECT w.id FROM workflow w JOIN task t ON t.workflow = w.id
            WHERE t.id = $1 FOR UPDATE OF w";
        let Some(row) = transaction.query_opt(lock, &[&task]).await? else {
            return Ok(());
        };
        let id: i64 = row.get(0);
        let end = "UPDATE task SET state = $2, ended_at = now()
            WHERE id = $1 AND ended_at IS NULL";
        if transaction.execute(end, &[&task, &state]).await? == 1 {
            let step = json!({"id": id, "task": task, "state": state});
            self.add(&transaction, "workflow:step", id, &step).await?;
            let end = "UPDATE workflow SET ended_at = now(), state = CASE
                    WHEN EXISTS (SELECT FROM task WHERE workflow = $1 AND state = 'failed')
                    THEN 'failed' ELSE 'completed' END
                WHERE id = $1
                    AND NOT EXISTS (SELECT FROM task WHERE workflow = $1 AND ended_at IS NULL)
                RETURNING state";
            if let Some(row) = transaction.query_opt(end, &[&id]).await? {
                let channel = format!("workflow:{}", row.get::<_, String>(0));
                self.add(&transaction, &channel, id, &json!({"id": id}))
                    .await?;
            }
        }
        transaction.commit().await?;
        // What fails here is tried again, with all of the above.
        self.tasks.delete(task).await?;
        self.workflows.delete(id).await?;
        forget_again(&self.tasks, task);
        forget_again(&self.workflows, id);
        Ok(())
    }

    /// An event that is told once the transaction has committed.
    async fn add(
        &self,
        transaction: &Transaction<'_>,
        channel: &str,
        workflow: i64,
        data: &Value,
    ) -> anyhow::Result<()> {
        let event = self.bus.events().event(channel, data)?;
        let event = event.with_correlation_id(format!("workflow-{workflow}"));
        self.outbox.add(transaction, &event).await?;
        Ok(())
    }

    async fn heard(self: Arc<Self>, event: Event) -> anyhow::Result<()> {
        match event.channel.as_str() {
            "task:completed" => self.task_ended(number(&event, "id")?, "completed").await,
            "task:failed" => self.task_ended(number(&event, "id")?, "failed").await,
            _ => Ok(()),
        }
    }

    /// While events are switched off (`events.enabled` of the `CacheBus`) the database is asked what nobody may tell.
    async fn look_while_events_are_off(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.bus.contract().events_enabled {
                continue;
            }
            if let Err(error) = self.look().await {
                tracing::warn!("results could not be looked for: {error:#}");
            }
        }
    }

    async fn look(&self) -> anyhow::Result<()> {
        let database = self.database.get().await?;
        let answered = "SELECT t.id FROM task t JOIN task_result r ON r.task = t.id
            WHERE t.ended_at IS NULL";
        let statement = database.prepare_cached(answered).await?;
        let rows = database.query(&statement, &[]).await?;
        drop(database);
        for row in rows {
            self.task_ended(row.get(0), "completed").await?;
        }
        Ok(())
    }
}

impl Task {
    fn of(row: &tokio_postgres::Row) -> Self {
        Self {
            id: row.get(0),
            workflow: row.get(1),
            agent: row.get(2),
            prompt: row.get(3),
            knowledge: row.get(4),
            state: row.get(5),
        }
    }
}

/// A number of an event's data; 0 where it has none, which is nobody's.
fn number(event: &Event, field: &str) -> cachebus::Result<i64> {
    let data: Value = event.data()?;
    Ok(data[field].as_i64().unwrap_or(0))
}

type Service = State<Arc<WorkflowEngine>>;

async fn start(State(service): Service, Json(order): Json<Order>) -> Answer<Started> {
    let id = service.start(&order).await?;
    Ok(Json(Started { id }))
}

async fn workflow(State(service): Service, Path(id): Path<i64>) -> Answer<Workflow> {
    found(service.workflow(id).await?)
}

async fn task(State(service): Service, Path(id): Path<i64>) -> Answer<Task> {
    found(service.task(id).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let (config, database) = services::database()?;
    let bus = CacheBus::discover()?;
    let outbox = bus.events().outbox("workflow_outbox")?;
    database.get().await?.batch_execute(&outbox.ddl()).await?;
    let service = Arc::new(WorkflowEngine {
        workflows: bus.cache().keyspace("workflow")?,
        tasks: bus.cache().keyspace("task")?,
        outbox: outbox.clone(),
        bus: bus.clone(),
        database,
    });

    let relay = outbox.relay(config, NoTls);
    let hearing = Arc::clone(&service);
    // Four at a time, those of one workflow in their order.
    let consumer = bus
        .events()
        .consumer()
        .concurrency(4)
        .ordered_by(|event| number(event, "workflow").unwrap_or(0).to_string())
        .on("task", move |event| Arc::clone(&hearing).heard(event))?;
    let stoppers = [relay.stopper(), consumer.stopper()];
    let looking = Arc::clone(&service);
    tokio::spawn(async move { looking.look_while_events_are_off().await });

    let routes = Router::new()
        .route("/workflows", post(start))
        .route("/workflows/{id}", get(workflow))
        .route("/tasks/{id}", get(task))
        .with_state(service);
    let serving = async {
        let served = services::serve(routes).await;
        stoppers.iter().for_each(Stopper::stop);
        served
    };
    let relaying = async { relay.run().await.map_err(anyhow::Error::from) };
    let consuming = async { consumer.run().await.map_err(anyhow::Error::from) };
    tokio::try_join!(serving, relaying, consuming)?;
    Ok(())
}
