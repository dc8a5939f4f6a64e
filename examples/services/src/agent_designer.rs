//! Agents, as people design them. The database has them; the cache is filled here, and told here of what changes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use cachebus::{CacheBus, Event, Keyspace, cached};
use deadpool_postgres::Pool;
use serde::{Deserialize, Serialize};
use serde_json::json;
use services::{Answer, Failure, forget_again, found};

/// How long a caller waits for the cache to forget what the database has changed already.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an agent is, and what became of all its tasks.
const AGENT: &str = "
    SELECT a.name, a.model, a.instructions,
        count(*) FILTER (WHERE t.state = 'completed'),
        count(*) FILTER (WHERE t.state = 'failed'),
        coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY r.seconds), 0),
        coalesce(sum(r.tokens), 0)
    FROM agent a
    LEFT JOIN task t ON t.agent = a.id
    LEFT JOIN task_result r ON r.task = t.id
    WHERE a.id = $1 GROUP BY a.id";

#[derive(Clone, Serialize, Deserialize)]
struct Agent {
    id: i64,
    name: String,
    model: String,
    instructions: String,
    completed: i64,
    failed: i64,
    median_seconds: f64,
    tokens: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Listed {
    id: i64,
    name: String,
}

/// What a person may change.
#[derive(Deserialize)]
struct Design {
    name: String,
    model: String,
    instructions: String,
}

struct AgentDesigner {
    bus: CacheBus,
    agents: Keyspace<Agent>,
    list: Keyspace<Vec<Listed>>,
    database: Pool,
}

impl AgentDesigner {
    /// From the cache; from the database where the cache does not have it, does not answer, or is switched off.
    #[cached(keyspace = self.agents)]
    async fn agent(&self, id: i64) -> anyhow::Result<Option<Agent>> {
        let database = self.database.get().await?;
        let statement = database.prepare_cached(AGENT).await?;
        let row = database.query_opt(&statement, &[&id]).await?;
        Ok(row.map(|row| Agent {
            id,
            name: row.get(0),
            model: row.get(1),
            instructions: row.get(2),
            completed: row.get(3),
            failed: row.get(4),
            median_seconds: row.get(5),
            tokens: row.get(6),
        }))
    }

    #[cached(keyspace = self.list)]
    async fn agents(&self) -> anyhow::Result<Option<Vec<Listed>>> {
        let database = self.database.get().await?;
        let list = "SELECT id, name FROM agent ORDER BY name, id";
        let statement = database.prepare_cached(list).await?;
        let rows = database.query(&statement, &[]).await?;
        let listed = rows.iter().map(|row| Listed {
            id: row.get(0),
            name: row.get(1),
        });
        Ok(Some(listed.collect()))
    }

    /// `false` where there is no such agent.
    async fn redesign(self: Arc<Self>, id: i64, design: Design) -> anyhow::Result<bool> {
        let database = self.database.get().await?;
        let update = "UPDATE agent SET name = $2, model = $3, instructions = $4 WHERE id = $1";
        let statement = database.prepare_cached(update).await?;
        let Design {
            name,
            model,
            instructions,
        } = &design;
        let changed = database
            .execute(&statement, &[&id, name, model, instructions])
            .await?;
        drop(database);
        if changed == 0 {
            return Ok(false);
        }
        let event = self
            .bus
            .events()
            .event("agent:updated", &json!({"id": id, "name": name}))?;
        // Where the bus is away the caller is not kept from its answer, and others hear of it when the bus is back.
        let telling = tokio::spawn(self.tell(id, event));
        if tokio::time::timeout(PATIENCE, telling).await.is_err() {
            tracing::warn!(
                id,
                "the bus does not answer yet: readers may see the former agent"
            );
        }
        Ok(true)
    }

    /// Has the cache forget an agent, and others hear of it: tried until it is done. It is the same event each time, so it counts once.
    async fn tell(self: Arc<Self>, id: i64, event: Event) {
        while let Err(error) = self.forget(id, &event).await {
            tracing::warn!(id, %error, "a change could not be told of");
            if !error.is_retryable() {
                return;
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }

    async fn forget(&self, id: i64, event: &Event) -> cachebus::Result<()> {
        self.list.delete(()).await?;
        self.invalidate(id, event).await
    }

    /// Removes what is cached of an agent and tells of it, in one step: who hears of it finds the new state.
    async fn invalidate(&self, id: i64, event: &Event) -> cachebus::Result<()> {
        self.bus
            .events()
            .invalidate(&self.agents, [id], event)
            .await?;
        forget_again(&self.agents, id);
        Ok(())
    }

    /// A task has ended, and the figures of its agent with it. Durable: this happens, however late. It may happen twice.
    async fn task_ended(self: Arc<Self>, ended: Event) -> cachebus::Result<()> {
        #[derive(Deserialize)]
        struct Task {
            id: i64,
            agent: i64,
        }
        let Task { id, agent } = ended.data()?;
        let status = json!({"id": agent, "task": id, "ended": ended.channel});
        let event = self.bus.events().event("agent:status", &status)?;
        self.invalidate(agent, &event).await
    }
}

type Service = State<Arc<AgentDesigner>>;

async fn agents(State(service): Service) -> Answer<Vec<Listed>> {
    found(service.agents().await?)
}

async fn agent(State(service): Service, Path(id): Path<i64>) -> Answer<Agent> {
    found(service.agent(id).await?)
}

async fn redesign(
    State(service): Service,
    Path(id): Path<i64>,
    Json(design): Json<Design>,
) -> Result<StatusCode, Failure> {
    if service.redesign(id, design).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::NotFound)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let (_, database) = services::database()?;
    let bus = CacheBus::discover()?;
    let service = Arc::new(AgentDesigner {
        agents: bus.cache().keyspace("agent")?.ttl_jitter(0.1),
        list: bus.cache().keyspace("agent_list")?,
        bus: bus.clone(),
        database,
    });

    let hearing = Arc::clone(&service);
    let task_ended = move |event| Arc::clone(&hearing).task_ended(event);
    let consumer = bus
        .events()
        .consumer()
        .on("task:completed", task_ended.clone())?
        .on("task:failed", task_ended)?;
    let stopper = consumer.stopper();

    let routes = Router::new()
        .route("/agents", get(agents))
        .route("/agents/{id}", get(agent).put(redesign))
        .with_state(service);
    let serving = async {
        let served = services::serve(routes).await;
        stopper.stop();
        served
    };
    let consuming = async { consumer.run().await.map_err(anyhow::Error::from) };
    tokio::try_join!(serving, consuming)?;
    Ok(())
}
