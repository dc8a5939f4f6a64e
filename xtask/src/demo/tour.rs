//! The printed tour: commands a person would type, and what they answer.

use std::io::Write as _;

use crate::lab::{Lab, shell_exports};
use crate::progress::note;

use super::services::SERVICES;
use super::{BUS, NAMESPACE};

/// A heading and the `kubectl` arguments that show it.
const STOPS: &[(&str, &[&str])] = &[
    ("the bus", &["get", "cachebus"]),
    (
        "how it is, concern by concern",
        &[
            "get",
            "cachebus",
            BUS,
            r#"--output=jsonpath={range .status.conditions[*]}{.type}: {.status}, {.reason}{"\n"}{end}"#,
        ],
    ),
    (
        "data nodes and Sentinels, spread over zones",
        &[
            "get",
            "pods",
            "--output=wide",
            "--label-columns=cachebus.dev/role",
        ],
    ),
    ("where clients connect", &["get", "services"]),
    (
        "what each service gets: one Secret, nothing else",
        &[
            "get",
            "secrets",
            "--field-selector=type=servicebinding.io/redis",
        ],
    ),
    ("what happened", &["events", "--for", "cachebus/platform"]),
];

/// Prints the tour.
pub(super) fn print(lab: &Lab) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (heading, arguments) in STOPS {
        writeln!(
            out,
            "\n## {heading}\n$ kubectl -n {NAMESPACE} {}",
            arguments.join(" ")
        )?;
        writeln!(out, "{}", ask(lab, arguments)?)?;
    }
    for service in &SERVICES {
        writeln!(
            out,
            "\n## what the service {} does\n$ kubectl -n {NAMESPACE} logs {}",
            service.name, service.pod
        )?;
        writeln!(out, "{}", service.log(lab, 3)?)?;
    }
    writeln!(
        out,
        "
## look around
    {}
    kubectl explain cachebus.spec --recursive
    kubectl -n {NAMESPACE} describe cachebus {BUS}
    kubectl -n {NAMESPACE} logs -f demo-dashboard
    kubectl -n {NAMESPACE} delete pod {BUS}-redis-0     # and see the primary move
    kubectl -n cachebus-system logs -l app.kubernetes.io/name=cachebus

## remove it
    cargo xtask demo --remove",
        shell_exports()?
    )?;
    Ok(())
}

/// Prints what helps to find out why the bus does not become ready.
pub(super) fn print_trouble(lab: &Lab) {
    let questions: [&[&str]; 4] = [
        &["get", "pods", "--output=wide"],
        &["describe", "cachebus", BUS],
        &["get", "events", "--sort-by=.lastTimestamp"],
        &[
            "--namespace",
            crate::install::NAMESPACE,
            "logs",
            "--selector=app.kubernetes.io/name=cachebus",
            "--tail=20",
        ],
    ];
    for question in questions {
        match ask(lab, question) {
            Ok(answer) => note(format_args!("$ kubectl {}\n{answer}\n", question.join(" "))),
            Err(error) => note(format_args!("{error:#}")),
        }
    }
}

fn ask(lab: &Lab, arguments: &[&str]) -> anyhow::Result<String> {
    lab.kubectl()
        .args(["--namespace", NAMESPACE])
        .args(arguments)
        .output()
}
