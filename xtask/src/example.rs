//! The worked example, `examples/services`, on the cluster and the bus of the demo.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::command::Cmd;
use crate::demo::{BUS, NAMESPACE};
use crate::image::{self, Profile};
use crate::lab::{Lab, docker, until};
use crate::pip;
use crate::progress::{note, step};
use crate::workspace;

const FOLDER: &str = "examples/services";
const PACKAGE: &str = "cachebus-example-services";
const PROGRAMS: [&str; 2] = ["agent_designer", "workflow_engine"];
const CLIENT: &str = "clients/python/src/cachebus";

/// Where Python finds packages, in the folder of the services.
const PACKAGES: &str = "packages";

/// Files of the example that its services are made of, besides the programs.
const EXTENSIONS: [&str; 3] = ["py", "html", "sql"];

/// As `kustomization.yaml` names it.
const IMAGE: &str = "localhost/cachebus-example-services:dev";

/// The Python of the lab's image with PostgreSQL, on which the example's is built.
const PYTHON: &str = "3.11";
const PLATFORMS: [&str; 2] = ["manylinux_2_28_x86_64", "manylinux2014_x86_64"];

/// The Deployment of the database, and the Secret that holds its password.
const DATABASE: &str = "services-database";
const SERVICES: [&str; 4] = ["agent-designer", "workflow-engine", "ai-model", "dashboard"];

/// How long the database may take to be filled.
const FILL_LIMIT: &str = "5m";

/// How long a service may take to start.
const START_LIMIT: &str = "3m";

/// How long a changed Secret may take to be in the pods that mount it.
const SWITCH_LIMIT: Duration = Duration::from_mins(2);

/// Clients look at their binding every second.
const TAKEN_UP: Duration = Duration::from_secs(2);

/// Builds the example, applies it where the demo's bus is, and plays its load without cache and bus and with them.
pub fn run() -> anyhow::Result<()> {
    let lab = Lab::open(None)?;
    let database = lab.postgres()?;
    build(&lab, database)?;
    lab.load(&[IMAGE, database])?;
    step("applying the example", || {
        make_password(&lab)?;
        kubectl(&lab)
            .args(["apply", "--kustomize"])
            .arg(workspace::root().join(FOLDER))
            .run()
    })?;
    await_rollout(&lab, DATABASE, FILL_LIMIT)?;
    // An image that was built again has the name of the one before.
    step("restarting the services", || {
        kubectl(&lab)
            .args(["rollout", "restart"])
            .args(SERVICES.map(|name| format!("deployment/{name}")))
            .run()
    })?;
    for service in SERVICES {
        await_rollout(&lab, service, START_LIMIT)?;
    }
    compare(&lab)?;
    note(format_args!(
        "\nthe page: kubectl -n {NAMESPACE} port-forward service/dashboard 8080"
    ));
    Ok(())
}

fn build(lab: &Lab, base: &str) -> anyhow::Result<()> {
    step(format_args!("building {IMAGE}"), || {
        let context = lab.home().scratch("example")?;
        lay_out(context.path())?;
        let environment = lab.home().scratch("example-python")?;
        let python = pip::environment(environment.path())?;
        packages(&python, context.path()).run()?;
        docker()
            .args(["build", "--quiet", "--tag", IMAGE, "--build-arg"])
            .arg(format!("BASE={base}"))
            .arg(context.path())
            .run()
    })
}

/// Puts into a folder what the services are: programs, linked statically, files, and the client for Python.
pub(crate) fn lay_out(folder: &Path) -> anyhow::Result<()> {
    let built = image::programs(PACKAGE, &PROGRAMS, Profile::Lab)?;
    for program in PROGRAMS {
        copy(&built.join(program), &folder.join(program))?;
    }
    let source = workspace::root().join(FOLDER);
    copy(&source.join("Dockerfile"), &folder.join("Dockerfile"))?;
    let files =
        fs::read_dir(&source).with_context(|| format!("cannot read {}", source.display()))?;
    for file in files {
        let file = file?;
        let extension = Path::new(&file.file_name())
            .extension()
            .map(ToOwned::to_owned);
        if extension.is_some_and(|extension| EXTENSIONS.iter().any(|taken| extension == *taken)) {
            copy(&file.path(), &folder.join(file.file_name()))?;
        }
    }
    copy_client(folder)
}

/// What fetches the packages that its Python takes: those of the image's Python, whatever this machine's is.
pub(crate) fn packages(python: &Path, folder: &Path) -> Cmd {
    pip::install(
        python,
        &workspace::root().join(FOLDER).join("requirements.txt"),
    )
    .args(["--no-compile", "--only-binary=:all:"])
    .args(["--python-version", PYTHON])
    .args(PLATFORMS.map(|platform| format!("--platform={platform}")))
    .arg("--target")
    .arg(folder.join(PACKAGES))
}

fn copy_client(folder: &Path) -> anyhow::Result<()> {
    let packages = folder.join(PACKAGES);
    fs::create_dir(&packages).with_context(|| format!("cannot create {}", packages.display()))?;
    Cmd::new("cp")
        .arg("--recursive")
        .arg(workspace::root().join(CLIENT))
        .arg(&packages)
        .run()
}

pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {}", from.display()))
}

/// A password of this cluster's own, unless there is one. It is on no command line.
fn make_password(lab: &Lab) -> anyhow::Result<()> {
    if kubectl(lab).args(["get", "secret", DATABASE]).succeeds() {
        return Ok(());
    }
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("cannot read /dev/urandom")?;
    let mut password = String::new();
    for byte in random {
        write!(password, "{byte:02x}")?;
    }
    let secret = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": DATABASE, "namespace": NAMESPACE},
        "stringData": {"password": password},
    });
    kubectl(lab)
        .args(["create", "--filename", "-"])
        .input(secret.to_string())
        .run()
}

fn await_rollout(lab: &Lab, deployment: &str, limit: &str) -> anyhow::Result<()> {
    step(format_args!("waiting for {deployment}"), || {
        kubectl(lab)
            .args(["rollout", "status"])
            .arg(format!("--timeout={limit}"))
            .arg(format!("deployment/{deployment}"))
            .run()
    })
}

fn compare(lab: &Lab) -> anyhow::Result<()> {
    let without = step("playing the load without cache and bus", || {
        play(lab, false)
    });
    // In any case: that leaves both on.
    let with = step("playing the load with cache and bus", || play(lab, true));
    let (without, with) = (without?, with?);
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\nwithout  {without}\nwith     {with}")?;
    Ok(())
}

/// Has cache and bus on or off, as their `CacheBus` says it to services that run, and plays the load.
fn play(lab: &Lab, on: bool) -> anyhow::Result<String> {
    let spec = serde_json::json!({"spec": {"cache": {"enabled": on}, "events": {"enabled": on}}});
    kubectl(lab)
        .args(["patch", "cachebus", BUS, "--type=merge", "--patch"])
        .arg(spec.to_string())
        .run()?;
    let said = format!("\"enabled\": *{on}");
    let taken_up = until(SWITCH_LIMIT, || all_are_told(lab, &said));
    ensure!(taken_up, "the services' Secrets do not say it yet");
    std::thread::sleep(TAKEN_UP);
    kubectl(lab)
        .args(["exec", "deployment/ai-model", "--", "python3", "-B"])
        .args(["/services/load.py", "http://dashboard:8080"])
        .output()
}

/// Whether this is in the contract of each service's pods.
fn all_are_told(lab: &Lab, said: &str) -> bool {
    let pods = kubectl(lab)
        .args(["get", "pods", "--output=name"])
        .args(["--field-selector=status.phase=Running", "--selector"])
        .arg(format!(
            "app.kubernetes.io/part-of=services,app.kubernetes.io/name in ({})",
            SERVICES.join(",")
        ))
        .output();
    let told = |pod: &str| {
        kubectl(lab)
            .args(["exec", pod, "--", "grep", "--quiet", said])
            .arg("/bindings/bus/contract.json")
            .succeeds()
    };
    pods.is_ok_and(|pods| pods.lines().all(told))
}

fn kubectl(lab: &Lab) -> Cmd {
    lab.kubectl().args(["--namespace", NAMESPACE])
}
