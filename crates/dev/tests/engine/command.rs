use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Output;

use crate::program::{Place, ended, send};

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let place = Place::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let output = place.run(&["--", "sh", "-c", script]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{script}: {:?}",
            said(&output)
        );
    }
    let output = place.run(&["--", "there-is-no-such-command"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(said(&output).1.contains("there-is-no-such-command"));
    assert!(!place.path(".cachebus").exists());
}

#[test]
fn the_command_has_a_bus_and_nothing_is_left_of_it() {
    let place = Place::new();
    let script = "cat $CACHEBUS_BINDING/username; echo; cat $CACHEBUS_BINDING/port; echo; \
                  ls $SERVICE_BINDING_ROOT; echo root $SERVICE_BINDING_ROOT other $CACHEBUS_HOST.";
    let mut program = place.program(&["--service", "dashboard", "--", "sh", "-c", script]);
    program.env("CACHEBUS_HOST", "of.another.bus");
    let output = program.output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let lines: Vec<&str> = out
        .lines()
        .skip_while(|line| *line != "dashboard")
        .collect();
    let port: u16 = lines[1].parse().unwrap();
    assert!(lines.contains(&"gateway"), "{out}");
    let last = lines.iter().find(|line| line.starts_with("root")).unwrap();
    let root = last.split(' ').nth(1).unwrap();
    assert!(last.ends_with("other ."), "{last}");
    assert!(!Path::new(root).exists());
    assert!(!Path::new(root).parent().unwrap().exists());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_command_runs_as_a_service_that_there_is() {
    let place = Place::new();
    let output = place.run(&["--service", "cashier", "--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    let (_, err) = said(&output);
    assert!(err.contains("cashier") && err.contains("gateway"), "{err}");
    // With one service there is nothing to choose.
    let (before, _) = crate::program::SAMPLE.split_once("  services:").unwrap();
    place.write(&format!("{before}  services: [{{name: only}}]\n"));
    let output = place.run(&["--", "sh", "-c", "cat $CACHEBUS_BINDING/username"]);
    assert!(said(&output).0.contains("only"), "{:?}", said(&output));
}

#[test]
fn a_signal_is_handed_on_and_the_end_waited_for() {
    let place = Place::new();
    let started = place.path("started");
    let script = format!(
        "trap 'sleep 1; exit 5' TERM; touch {}; while :; do sleep 0.1; done",
        started.display()
    );
    let mut child = place.program(&["--", "sh", "-c", &script]).spawn().unwrap();
    while !started.exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send("-TERM", child.id());
    assert_eq!(ended(&mut child), Some(5));
}
