//! Writes tender's manual pages and shell completions, made from the definition of its command line: `documents FOLDER DATE`.
//! What no definition says (files, exit codes, signals) is in this file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

const NAME: &str = "tender";
const SECTION: &str = "1";

/// What is where after the Debian package was installed.
const FILES: [(&str, &str); 3] = [
    ("/etc/tender/tender.toml", "The options of the server that systemd runs, each explained."),
    (
        "/var/lib/tender",
        "Its data: the database, the packages and the secret. Removing the Debian package leaves it alone.",
    ),
    (
        "tender-data",
        "The data folder, below the current one, where neither an option nor $STATE_DIRECTORY names another.",
    ),
];

const EXIT_CODES: [(&str, &str); 3] = [
    ("0", "Success."),
    ("1", "Failure; the last line on standard error says why."),
    ("2", "The command line or the configuration cannot work. Trying again does not help."),
];

fn main() -> anyhow::Result<()> {
    let [folder, date] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| anyhow::anyhow!("usage: documents FOLDER DATE, with the date of the pages as 2027-01-31"))?;
    let folder = PathBuf::from(folder);
    let mut definition = tender::cli::definition().disable_help_subcommand(true);
    definition.build();

    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    write_pages(&definition, &date, &pages)?;

    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut definition, NAME, &completions)?;
    }
    Ok(())
}

/// Writes the page of a command and those of all commands below it, such as `tender-token-create.1`.
fn write_pages(command: &Command, date: &str, folder: &Path) -> anyhow::Result<()> {
    let page = Man::new(command.clone())
        .section(SECTION)
        .date(date)
        .source(format!("{NAME} {}", command.get_version().unwrap_or_default()))
        .manual("User Commands");
    let path = folder.join(page.get_filename());
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    page.render_title(&mut file)?;
    page.render_name_section(&mut file)?;
    page.render_synopsis_section(&mut file)?;
    page.render_description_section(&mut file)?;
    page.render_options_section(&mut file)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut file)?;
    }
    let is_whole = command.get_name() == NAME;
    let mut end = Roff::default();
    if is_whole {
        define(&mut end, "FILES", &FILES);
    }
    define(&mut end, "EXIT STATUS", &EXIT_CODES);
    if !is_whole {
        end.control("SH", ["SEE ALSO"]);
        end.text([bold(NAME), roman(format!("({SECTION})"))]);
    }
    end.to_writer(&mut file)?;
    for below in command.get_subcommands() {
        write_pages(below, date, folder)?;
    }
    Ok(())
}

/// A section that says what each of some words means.
fn define(page: &mut Roff, title: &str, meanings: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (word, meaning) in meanings {
        page.control("TP", []);
        page.text([bold(*word)]);
        page.text([roman(*meaning)]);
    }
}
