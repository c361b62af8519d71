//! The table that a run prints.

use std::time::Duration;

/// One line.
pub struct Row {
    pub name: String,
    pub ours: String,
    pub yardstick: String,
    pub ratio: Option<f64>,
    pub target: Option<Target>,
}

/// What should come out. Missing it is told, and is no failure.
pub struct Target {
    pub text: String,
    pub is_met: bool,
}

impl Row {
    /// A line without yardstick and target.
    pub fn new(name: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { name: name.into(), ours: ours.into(), yardstick: String::new(), ratio: None, target: None }
    }

    /// Sets ours against a yardstick measured in the same run.
    pub fn against(mut self, yardstick: impl Into<String>, ratio: f64) -> Self {
        self.yardstick = yardstick.into();
        self.ratio = Some(ratio);
        self
    }

    /// Says what should come out.
    pub fn target(mut self, text: impl Into<String>, is_met: bool) -> Self {
        self.target = Some(Target { text: text.into(), is_met });
        self
    }
}

/// Prints all lines, columns aligned.
pub fn print(rows: &[Row]) {
    let mut lines = vec![["", "ours", "yardstick", "ratio", "target", ""].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let (target, verdict) = match &row.target {
            Some(target) => (target.text.clone(), if target.is_met { "met" } else { "MISSED" }),
            None => (String::new(), ""),
        };
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        [row.name.clone(), row.ours.clone(), row.yardstick.clone(), ratio, target, verdict.to_owned()]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    println!();
    for [name, ours, yardstick, ratio, target, verdict] in &lines {
        let [a, b, c, d, e, _] = widths;
        println!("{name:a$}  {ours:>b$}  {yardstick:>c$}  {ratio:>d$}  {target:>e$}  {verdict}");
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

pub fn microseconds(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}

/// The middle one; runs on a machine with other work have outliers.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
