use std::time::Duration;

use cachebus::{ErrorKind, Locks};

use crate::bus::{ask, client, server};
use crate::process::Process;
use crate::wait::until;

const BRIEF: Duration = Duration::from_millis(300);

fn locks(process: &Process) -> Locks {
    client(process).locks("lock").unwrap()
}

#[tokio::test]
async fn a_lock_has_one_holder_and_a_rising_number() {
    let process = server(&[]).await;
    let (one, two) = (locks(&process), locks(&process));
    let held = one.lock("orders").await.unwrap();
    held.check().unwrap();
    let error = two.lock("orders").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LockBusy);
    assert!(error.is_retryable());
    let other = two.lock("others").await.unwrap();
    let first = held.fence();
    assert!(held.release().await.unwrap());
    let next = two.lock("orders").await.unwrap();
    assert!(next.fence() > first);
    assert!(next.release().await.unwrap());
    drop(other);
}

#[tokio::test]
async fn who_waits_gets_it_next() {
    let process = server(&[]).await;
    let locks = locks(&process);
    let held = locks.lock("orders").await.unwrap();
    let waits = locks.lock_within("orders", Duration::from_secs(10));
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        held.release().await.unwrap()
    };
    let (next, released) = futures::join!(waits, release);
    assert!(released);
    next.unwrap().check().unwrap();
}

#[tokio::test]
async fn it_is_kept_alive_and_ends_with_its_holder() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let brief = locks(&process).ttl(Duration::from_secs(2));
    let held = brief.lock("orders").await.unwrap();
    let mut left = u64::MAX;
    let mut lengthened = 0;
    until("it is lengthened again and again", async || {
        let now = ask(&mut admin, &["PTTL", "lock:orders"]).await;
        let now: u64 = redis::from_redis_value(now).expect("it is held");
        lengthened += u32::from(now > left);
        left = now;
        (lengthened == 4).then_some(())
    })
    .await;
    held.check().unwrap();
    assert!(brief.lock("orders").await.is_err());
    drop(held);
    until("it is released", async || {
        let exists = ask(&mut admin, &["EXISTS", "lock:orders"]).await;
        (exists == redis::Value::Int(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn its_loss_is_told() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let brief = locks(&process).ttl(BRIEF);
    let held = brief.lock("orders").await.unwrap();
    ask(&mut admin, &["SET", "lock:orders", "of-another"]).await;
    let told = tokio::time::timeout(Duration::from_secs(5), held.lost());
    told.await.expect("the loss is told");
    assert_eq!(held.check().unwrap_err().kind(), ErrorKind::LockLost);
    assert!(!held.release().await.unwrap());
    let others = ask(&mut admin, &["GET", "lock:orders"]).await;
    assert_eq!(crate::bus::text(others), "of-another");
}

#[tokio::test]
async fn a_server_that_is_silent_loses_it_in_time() {
    let process = server(&[]).await;
    let brief = locks(&process).ttl(BRIEF);
    let held = brief.lock("orders").await.unwrap();
    process.freeze();
    let told = tokio::time::timeout(Duration::from_secs(5), held.lost());
    told.await.expect("the loss is told");
    assert!(!held.is_held());
    process.thaw();
}

#[tokio::test]
async fn values_are_no_locks() {
    let process = server(&[]).await;
    let bus = client(&process);
    for name in ["agent", "unknown"] {
        let error = bus.locks(name).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ContractError);
    }
    let error = locks(&process).lock("a:b").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::KeyInvalid);
}
