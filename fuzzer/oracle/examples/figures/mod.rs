//! What the examples that measure have in common: figures of a process, and a picture of many of them.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Colours of lines, in turn.
const COLOURS: [&str; 8] =
    ["#0b6e99", "#c4554d", "#448361", "#9065b0", "#d9730d", "#9f6b53", "#cb912f", "#787774"];
/// Width and height of the field between the axes, in points.
const FIELD: (f64, f64) = (640.0, 360.0);

/// Seconds of processor that this process has used.
pub fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns: u64 = text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    ns as f64 / 1e9
}

/// MiB, by the name of a line in the status of this process: `VmHWM:` is the most it ever had.
pub fn mib(name: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// The machine and the command, in a line.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let command: Vec<String> = std::env::args().collect();
    format!(
        "machine: {cores} cores, {}; command: {}",
        model.trim_matches([' ', '\t', ':']),
        command.join(" ")
    )
}

/// Memory against the length of histories.
#[derive(Default)]
pub struct Plot {
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// Adds a point to the line with this name: so many operations took so many MiB.
    pub fn add(&mut self, name: &str, operations: f64, mib: f64) {
        match self.lines.iter_mut().find(|(other, _)| other == name) {
            Some((_, points)) => points.push((operations, mib)),
            None => self.lines.push((name.to_owned(), vec![(operations, mib)])),
        }
    }

    /// Writes the picture.
    pub fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        fs::write(path, self.svg())
            .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
    }

    fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|(_, points)| points);
        let (right, top) = all().fold((1.0_f64, 1.0_f64), |(x, y), point| (x.max(point.0), y.max(point.1)));
        let (width, height) = FIELD;
        let at = |(x, y): (f64, f64)| (60.0 + x / right * width, 20.0 + height - y / top * height);
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="12">"#,
            width + 260.0,
            height + 70.0
        );
        svg.push_str("\n<title>Peak memory by the length of the history</title>\n");
        for part in 0..=4 {
            let share = f64::from(part) / 4.0;
            let ((x, y), (left, bottom)) = (at((share * right, share * top)), at((0.0, 0.0)));
            // a text takes everything
            let _ = writeln!(
                svg,
                r##"<path d="M{left} {y}h{width}M{x} {bottom}v-{height}" stroke="#ddd"/><text x="{}" y="{}" text-anchor="end">{:.0} MiB</text><text x="{x}" y="{}" text-anchor="middle">{:.0}</text>"##,
                left - 4.0,
                y + 4.0,
                share * top,
                bottom + 18.0,
                share * right
            );
        }
        for (number, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let way: Vec<String> =
                points.iter().map(|point| at(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let y = 30.0 + number as f64 * 18.0;
            let _ = writeln!(
                svg,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/><text x="{}" y="{y}" fill="{colour}">{name}</text>"#,
                way.join(" "),
                width + 75.0
            );
        }
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="middle">operations</text></svg>"#,
            60.0 + width / 2.0,
            height + 60.0
        );
        svg
    }
}
