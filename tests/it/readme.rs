//! What the README says is what the program does: its commands are run, its tables compared.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tender::domain::EventType;
use tender::http::{Audience, route_table};

const README: &str = include_str!("../../README.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_tender");
/// Where the README's server listens; the test's has a port of its own.
const README_ADDRESS: &str = "127.0.0.1:5000";

/// Sections with commands that need no server, in the order in which they can be run.
const BY_THEMSELVES: [&str; 4] = ["Security model", "Packages stay whole", "Backup and restore", "Upgrade"];

/// The text of a section with those below it, up to the next one that is not below it.
fn section(title: &str) -> &'static str {
    let mut is_code = false;
    let mut begin = None;
    let mut at = 0;
    for line in README.split_inclusive('\n') {
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        is_code ^= line.starts_with("```");
        if !is_code && level > 0 {
            match begin {
                Some((begin, above)) if level <= above => return &README[begin..at],
                None if line[level..].trim() == title => begin = Some((at + line.len(), level)),
                _ => {}
            }
        }
        at += line.len();
    }
    &README[begin.unwrap_or_else(|| panic!("there is no section {title:?}")).0..]
}

/// The commands of a section, block by block.
fn commands(section: &str) -> Vec<&str> {
    section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// A server that is stopped when the test ends, however it ends.
struct ServeCommand(Child);

impl ServeCommand {
    /// Runs a command that serves, on a port of its own; also says where.
    fn start(command: &mut Command) -> (Self, String) {
        let serving = command.env("TENDER_LISTEN", "127.0.0.1:0").stderr(Stdio::piped()).spawn();
        let mut serving = Self(serving.unwrap());
        let log = BufReader::new(serving.0.stderr.take().unwrap());
        let address =
            log.lines().find_map(|line| Some(line.unwrap().split_once("address=")?.1.split(' ').next()?.to_owned()));
        (serving, address.expect("a server that says where it listens"))
    }
}

impl Drop for ServeCommand {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_installed(tool: &str) -> bool {
    let path = search_path(Path::new("/nowhere"));
    Command::new("sh").args(["-c", &format!("command -v {tool}")]).env("PATH", path).output().unwrap().status.success()
}

/// Debian keeps `mke2fs` where only root looks.
fn search_path(first: &Path) -> String {
    format!("{}:{}:/usr/sbin:/sbin", first.display(), std::env::var("PATH").unwrap())
}

/// A folder in which the README's commands find the program already built.
fn working_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    symlink(PROGRAM, release.join("tender")).unwrap();
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, format!("#!/bin/sh\nshift 3\nexec '{PROGRAM}' \"$@\"\n")).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn the_commands_of_try_it_lead_a_device_to_v3() {
    let missing: Vec<_> = ["curl", "jq", "mke2fs"].into_iter().filter(|tool| !is_installed(tool)).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "CI must have {missing:?}");
        eprintln!("skipped: the commands of the README need {missing:?}");
        return;
    }
    let folder = working_folder();
    let blocks = commands(section("Try it"));
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).current_dir(folder.path()).env("PATH", search_path(folder.path()));
        command.env_remove("TENDER_DATA_DIR").env_remove("STATE_DIRECTORY");
        command
    };

    let (serve, script) = blocks.split_first().unwrap();
    assert_eq!(*serve, "cargo run --release -- serve\n");
    let (_serving, address) = ServeCommand::start(&mut shell(&format!("exec {}", serve.trim())));

    let script = format!("set -euo pipefail\n{}", script.concat()).replace(README_ADDRESS, &address);
    let output = shell(&format!("timeout 60 bash -c '{}'", script.replace('\'', r"'\''"))).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");

    for step in ["v0 → v1", "v1 → v2", "v2 → v3"] {
        assert!(stderr.contains(step), "{step}: {stderr}");
    }
    for version in ["v1", "v2", "v3"] {
        // Once as the server's package list says, once as the file's own hash.
        let line = stdout.lines().find(|line| line.ends_with(&format!("  demo/{version}.ext4"))).unwrap();
        let sha256 = line.split(' ').next().unwrap();
        assert!(stdout.lines().any(|line| line == sha256), "{sha256} of {version}: {stdout}");
    }
}

#[test]
fn every_block_of_commands_is_run() {
    // The first block is how this program and its tests are run.
    let mut run = 1;
    for title in ["Try it", "HTTPS", "Without a network: bundles"].into_iter().chain(BY_THEMSELVES) {
        run += commands(section(title)).len();
    }
    assert_eq!(commands(README).len(), run);
}

#[test]
fn the_commands_of_sections_that_need_no_server_work() {
    let folder = working_folder();
    let commands = BY_THEMSELVES.map(|title| commands(section(title)).concat());
    succeed(folder.path(), &commands.concat());
}

/// Runs commands in a working folder; they have to succeed.
fn succeed(folder: &Path, script: &str) {
    let output = shell(folder, &format!("set -euo pipefail\n{script}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn shell(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(folder).env("PATH", search_path(&folder.join("target/release")));
    command.env_remove("TENDER_DATA_DIR").env_remove("STATE_DIRECTORY");
    command
}

#[test]
fn the_commands_of_https_work_beside_a_server() {
    let folder = working_folder();
    let (_serving, _) = ServeCommand::start(&mut shell(folder.path(), "exec tender serve --tls auto"));
    succeed(folder.path(), &commands(section("HTTPS")).concat());
    assert!(fs::read_to_string(folder.path().join("ca.pem")).unwrap().contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_commands_of_bundles_carry_a_group_from_one_server_to_another() {
    let [depot, plant] = [(); 2].map(|()| working_folder());
    let (_serving, at_depot) = ServeCommand::start(&mut shell(depot.path(), "exec tender serve --no-api-auth"));
    let (_served, at_plant) = ServeCommand::start(&mut shell(plant.path(), "exec tender serve"));
    let blocks = commands(section("Without a network: bundles"));
    let [at_first, then] = blocks.try_into().expect("what is done here and there");
    succeed(depot.path(), &format!("curl -sS --fail http://{at_depot}/api/v1/groups --json '{{}}'\n{at_first}"));
    for file in ["depot.key", "plant.bundle"] {
        fs::rename(depot.path().join(file), plant.path().join(file)).unwrap();
    }
    let groups = "curl -sS -H \"Authorization: Bearer $TENDER_TOKEN\"";
    let look = format!("{groups} http://{at_plant}/api/v1/groups | grep -q '\"id\":1'");
    succeed(plant.path(), &format!("{}\n{look}", then.replace(README_ADDRESS, &at_plant)));
}

#[test]
fn the_table_of_the_api_is_the_route_table() {
    let documented: Vec<&str> = section("The API").lines().filter(|line| line.contains("| `/")).collect();
    let routes = route_table();
    assert_eq!(documented.len(), routes.len());
    for route in routes {
        let who = match route.audience {
            Audience::Public => "anybody".to_owned(),
            Audience::Device => "device".to_owned(),
            Audience::Management(scope) => format!("`{scope}`"),
            Audience::Uploader => "an upload scope".to_owned(),
            Audience::Session => "who is logged in".to_owned(),
            Audience::Client => "client".to_owned(),
        };
        let line = format!("| {} | `{}` | {who} |", route.method, route.path);
        assert!(documented.iter().any(|documented| documented.starts_with(&line)), "the README lacks {line}");
    }
}

#[test]
fn the_table_of_options_is_what_help_says() {
    let help = Command::new(PROGRAM).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().split([' ', '[', '=']).find(|word| word.starts_with("--")))
        .filter(|flag| !["--help", "--version"].contains(flag))
        .collect();
    let rows: Vec<&str> = section("Configure").lines().filter(|line| line.starts_with("| `--")).collect();
    for flag in &flags {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| `{flag}"))), "the README lacks {flag}");
    }
    assert_eq!(rows.len(), flags.len(), "{flags:?}");
    for row in rows {
        let variable = row.split('|').nth(2).unwrap().trim().trim_matches('`');
        assert!(help.contains(&format!("[env: {variable}=")), "{variable} is not a variable of serve");
    }
}

#[test]
fn the_table_of_commands_is_what_help_says() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().map_while(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut commands: Vec<_> = commands.filter(|name| !["", "serve", "help"].contains(name)).collect();
    let rows = section("Operate").split("\n\n").find(|block| block.starts_with("| command")).unwrap();
    let mut documented: Vec<_> =
        rows.split("`tender ").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()).collect();
    commands.sort_unstable();
    documented.sort_unstable();
    documented.dedup();
    assert_eq!(documented, commands);
}

#[test]
fn the_table_of_events_has_all_of_them() {
    let table: String = section("Events and webhooks").lines().filter(|line| line.starts_with("| `")).collect();
    for kind in EventType::ALL.iter().filter(|kind| **kind != EventType::WebhookTest) {
        let (_, short) = kind.name().split_once('.').unwrap();
        let is_there = table.contains(&format!("`{kind}`")) || table.contains(&format!("`.{short}`"));
        assert!(is_there, "the README lacks {kind}");
    }
}
