//! Memory that runs out.

use std::time::Duration;

use anyhow::ensure;
use cachebus_e2e::history::contract;
use tokio::io::AsyncWriteExt as _;

use crate::chaos::{Fault, Loses, Scene, held};
use crate::nodes;
use crate::wait;

/// How long memory is full.
const FULL: Duration = Duration::from_secs(10);

/// How long a client does not read.
const SILENT: Duration = Duration::from_secs(15);

/// Time for a server to die of too little memory.
const KILLED: Duration = Duration::from_mins(1);

/// Keys that fill the memory, each of 8 MiB: more than the bus may hold.
const BLOCKS: usize = 14;

/// The offset at which a block ends.
const BLOCK: &str = "8388607";

/// Questions of a client that never reads an answer.
const QUESTIONS: usize = 20_000;

pub const ALL: &[Fault] = &[
    Fault::new(
        "maxmemory",
        "a service fills the bus up to `memory.max`, and removes it all 10 s later",
        |scene| Box::pin(fill(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "oom-kill",
        "the container of the primary has less memory than its server wants, and the kernel kills it",
        |scene| Box::pin(oom_kill(scene)),
    ),
    Fault::new(
        "output-buffer",
        "a client asks the primary for 20,000 lists and reads no answer for 15 s",
        |scene| Box::pin(output_buffer(scene)),
    )
    .loses(Loses::Nothing),
];

fn block(number: usize) -> String {
    format!("chaos:block:{number}")
}

async fn fill(scene: &Scene) -> anyhow::Result<()> {
    let mut taken = 0;
    while taken < BLOCKS && takes(scene, taken).await? {
        taken += 1;
    }
    tokio::time::sleep(FULL).await;
    empty(scene).await?;
    ensure!(taken < BLOCKS, "the memory did not run out");
    Ok(())
}

/// Whether the primary takes a block. What it has no room for is not asked again, as all else is.
async fn takes(scene: &Scene, number: usize) -> anyhow::Result<bool> {
    let written = ["SETRANGE", &block(number), BLOCK, "x"];
    wait::until("a block is taken or refused", KILLED, || async {
        let session = scene.bus.root(scene.place(&scene.primary)?).await?;
        match session.call::<()>(&written).await {
            Err(error) if format!("{error:#}").contains("OOM") => Ok(false),
            other => other.map(|()| true),
        }
    })
    .await
}

/// Removes what fills the memory, wherever the lead is by now.
async fn empty(scene: &Scene) -> anyhow::Result<()> {
    let blocks: Vec<String> = (0..BLOCKS).map(block).collect();
    let mut remove = vec!["DEL"];
    remove.extend(blocks.iter().map(String::as_str));
    wait::until("the memory is free again", KILLED, || {
        scene.bus.on_primary::<()>(&remove)
    })
    .await
}

async fn oom_kill(scene: &Scene) -> anyhow::Result<()> {
    let server = scene.server(&scene.primary).await?;
    let short = held::ShortOfMemory::begin(&server)?;
    for number in 0..BLOCKS / 2 {
        let written = ["SETRANGE", &block(number), BLOCK, "x"];
        // The one that it dies of is not answered.
        if scene.typed::<()>(&scene.primary, &written).await.is_err() {
            break;
        }
    }
    wait::until("the server is killed", KILLED, || async {
        ensure!(server.resident_kib().is_none(), "it still runs");
        Ok(())
    })
    .await?;
    drop(short);
    empty(scene).await
}

async fn output_buffer(scene: &Scene) -> anyhow::Result<()> {
    let access = scene.bus.access().await?;
    let place = scene.place(&scene.primary)?;
    let mut stream = nodes::direct(&scene.bus.client, &access, &place).await?;
    let password = access.password(contract::SERVICE)?;
    let login = format!("AUTH {} {password}\r\n", contract::SERVICE);
    stream.write_all(login.as_bytes()).await?;
    let lists: Vec<String> = contract::writers().map(contract::key).collect();
    let asking = async {
        for list in lists.iter().cycle().take(QUESTIONS) {
            let question = format!("LRANGE {list} 0 -1\r\n");
            stream.write_all(question.as_bytes()).await?;
        }
        stream.flush().await
    };
    // A server that has had enough of it ends the connection, or stops reading.
    let _ = tokio::time::timeout(SILENT, asking).await;
    tokio::time::sleep(SILENT).await;
    Ok(())
}
