//! Draws measured points as SVG: panels side by side, with the same scale upwards, and sideways one that grows tenfold.

use std::fmt::Write;

const PANEL_WIDTH: f64 = 260.0;
const PLOT_WIDTH: f64 = 200.0;
const PLOT_HEIGHT: f64 = 160.0;
/// Where the first plot begins.
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;
const HEIGHT: f64 = TOP + PLOT_HEIGHT + 55.0;

/// One plot: how much was done, against how much there was of something.
pub struct Panel {
    pub name: &'static str,
    pub points: Vec<(usize, f64)>,
}

/// The picture.
pub fn draw(panels: &[Panel]) -> String {
    let values = panels.iter().flat_map(|panel| panel.points.iter().map(|(_, value)| *value));
    let step = 10_000.0;
    // Room for the numbers above the points.
    let top = (values.fold(0.0, f64::max) * 1.1 / step).ceil() * step;
    let width = PANEL_WIDTH * panels.len() as f64 + LEFT / 2.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Update checks a second on one processor, against the size of the fleet</title>\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"14\" fill=\"#222222\">Update checks a second on one processor</text>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        // The scale is the same for all: its numbers stand before the first.
        draw_panel(&mut svg, LEFT + PANEL_WIDTH * number as f64, panel, step, top, number == 0);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, left: f64, panel: &Panel, step: f64, top: f64, has_numbers: bool) {
    let y = |value: f64| TOP + PLOT_HEIGHT * (1.0 - value / top);
    let logarithm = |count: usize| (count as f64).log10();
    let first = panel.points.first().map_or(0.0, |(count, _)| logarithm(*count));
    let last = panel.points.last().map_or(1.0, |(count, _)| logarithm(*count));
    let x = |count: usize| left + PLOT_WIDTH * (logarithm(count) - first) / (last - first);
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(svg, "{text}").unwrap();

    let steps = (top / step).round() as usize;
    for value in (0..=steps).map(|number| number as f64 * step) {
        let (right, height) = (left + PLOT_WIDTH, y(value));
        line(format_args!("<path d=\"M{left} {height:.1}H{right}\" stroke=\"#dddddd\"/>"));
        if has_numbers {
            let (x, y) = (left - 6.0, height + 4.0);
            let text = thousands(value as usize);
            line(format_args!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#555555\">{text}</text>"));
        }
    }
    let path: Vec<String> =
        panel.points.iter().map(|(count, value)| format!("{:.1} {:.1}", x(*count), y(*value))).collect();
    line(format_args!("<path d=\"M{}\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\"/>", path.join("L")));
    for (count, value) in &panel.points {
        let (x, y) = (x(*count), y(*value));
        line(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#1565c0\"/>"));
        let (above, below) = (y - 9.0, TOP + PLOT_HEIGHT + 18.0);
        let (value, count) = (thousands(value.round() as usize), thousands(*count));
        line(format_args!(
            "<text x=\"{x:.1}\" y=\"{above:.1}\" text-anchor=\"middle\" fill=\"#222222\">{value}</text>"
        ));
        line(format_args!(
            "<text x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\" fill=\"#555555\">{count}</text>"
        ));
    }
    let (middle, below) = (left + PLOT_WIDTH / 2.0, TOP + PLOT_HEIGHT + 38.0);
    let name = panel.name;
    line(format_args!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#222222\">{name}</text>"));
}

/// 12,345
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
