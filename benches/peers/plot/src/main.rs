//! Draws a comparison: `peer-plot RESULTS.json FOLDER` writes bars of CPU per record for every row, and curves of
//! latency for the paced ones, each as SVG and as PNG.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::register_font;
use serde_json::Value;

/// Curves are told apart by these; milena's is the first.
const LINES: [RGBColor; 14] = [
    RGBColor(32, 110, 180),
    RGBColor(222, 140, 60),
    RGBColor(70, 150, 70),
    RGBColor(190, 60, 60),
    RGBColor(130, 90, 170),
    RGBColor(130, 90, 70),
    RGBColor(210, 110, 180),
    RGBColor(110, 110, 110),
    RGBColor(60, 190, 200),
    RGBColor(170, 170, 40),
    RGBColor(20, 30, 90),
    RGBColor(150, 210, 120),
    RGBColor(90, 15, 35),
    RGBColor(140, 180, 240),
];

/// One program in one row.
struct Entry {
    label: String,
    peer: bool,
    cpu_ns: f64,
    /// Share of records, milliseconds.
    curve: Vec<(f64, f64)>,
}

/// One row, ready to be drawn.
struct Figure {
    title: String,
    entries: Vec<Entry>,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).map(PathBuf::from);
    let file = words.next().context("the results, and a folder")?;
    let dir = words.next().context("the results, and a folder")?;
    register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| anyhow!("the font cannot be read"))?;
    let results: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    for row in results["rows"].as_array().context("no rows")? {
        let figure = figure(row)?;
        let name = row["row"].as_str().context("a row has a name")?;
        if figure.entries.is_empty() {
            continue;
        }
        let size = (900, 36 * figure.entries.len() as u32 + 110);
        draw(&dir, name, size, &figure, Kind::Bars)?;
        if figure.entries.iter().any(|entry| !entry.curve.is_empty()) {
            draw(
                &dir,
                &format!("{name}-latency"),
                (900, 560),
                &figure,
                Kind::Latency,
            )?;
        }
    }
    Ok(())
}

fn figure(row: &Value) -> Result<Figure> {
    let cells = row["cells"].as_array().context("a row has cells")?;
    let entries = cells.iter().filter_map(|cell| {
        let curve = typical(cell).and_then(|latency| latency["curve"].as_array());
        let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_f64()? / 1000.0));
        // The greatest latency is that of one record, not of a share.
        let points = curve.into_iter().flatten().filter_map(point);
        let points = points.filter(|(share, _)| *share < 1.0);
        Some(Entry {
            label: cell["label"].as_str()?.to_owned(),
            peer: cell["peer"].as_bool()?,
            cpu_ns: cell["cpu_ns"][0].as_f64()?,
            curve: points.collect(),
        })
    });
    Ok(Figure {
        title: row["about"].as_str().unwrap_or_default().to_owned(),
        entries: entries.collect(),
    })
}

/// The latencies of the run whose 99th percentile is nearest to the median.
fn typical(cell: &Value) -> Option<&Value> {
    let median = cell["p99_ms"][0].as_f64()?;
    let runs = cell["runs"].as_array()?.iter();
    let latencies = runs.map(|run| &run["line"]["latency"]);
    let apart = latencies.filter_map(|latency| {
        let millis = latency["p99_us"].as_f64()? / 1000.0;
        Some(((millis - median).abs(), latency))
    });
    let nearest = apart.min_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, latency)| latency)
}

#[derive(Clone, Copy)]
enum Kind {
    Bars,
    Latency,
}

/// Draws a figure on both kinds of surface.
fn draw(dir: &Path, name: &str, size: (u32, u32), figure: &Figure, kind: Kind) -> Result<()> {
    let file = |ending: &str| dir.join(format!("{name}.{ending}"));
    let (svg, png) = (file("svg"), file("png"));
    on(
        SVGBackend::new(&svg, size).into_drawing_area(),
        figure,
        kind,
    )?;
    on(
        BitMapBackend::new(&png, size).into_drawing_area(),
        figure,
        kind,
    )
}

type Area<B> = DrawingArea<B, plotters::coord::Shift>;

fn on<B: DrawingBackend>(area: Area<B>, figure: &Figure, kind: Kind) -> Result<()> {
    let drawn = area
        .fill(&WHITE)
        .map_err(|error| anyhow!("{error}"))
        .and_then(|()| match kind {
            Kind::Bars => bars(&area, figure),
            Kind::Latency => latency(&area, figure),
        });
    drawn?;
    area.present().map_err(|error| anyhow!("{error}"))
}

fn bars<B: DrawingBackend>(area: &Area<B>, figure: &Figure) -> Result<()> {
    let said = |error: DrawingAreaErrorKind<B::ErrorType>| anyhow!("{error}");
    let most = figure
        .entries
        .iter()
        .map(|entry| entry.cpu_ns)
        .fold(1.0, f64::max);
    let count = figure.entries.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("{}: CPU ns a record", figure.title),
            ("sans-serif", 20),
        )
        .margin(12)
        .margin_right(70)
        .x_label_area_size(30)
        .y_label_area_size(210)
        .build_cartesian_2d(0.0..most * 1.08, 0.0..count)
        .map_err(said)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .x_labels(6)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(said)?;
    for (index, entry) in figure.entries.iter().enumerate() {
        // The first is uppermost.
        let low = count - 1.0 - index as f64;
        let color = match (entry.peer, entry.label.as_str()) {
            (true, _) => LINES[1],
            (false, "floor") => RGBColor(150, 150, 150),
            (false, _) => LINES[0],
        };
        let bar = Rectangle::new(
            [(0.0, low + 0.18), (entry.cpu_ns, low + 0.82)],
            color.filled(),
        );
        chart.draw_series([bar]).map_err(said)?;
        let at = chart.backend_coord(&(entry.cpu_ns, low + 0.68));
        let text = ("sans-serif", 14).into_font().color(&BLACK);
        let number = format!("{:.0}", entry.cpu_ns);
        area.draw(&Text::new(number, (at.0 + 6, at.1), text.clone()))
            .map_err(said)?;
        area.draw(&Text::new(entry.label.clone(), (14, at.1), text))
            .map_err(said)?;
    }
    Ok(())
}

fn latency<B: DrawingBackend>(area: &Area<B>, figure: &Figure) -> Result<()> {
    let said = |error: DrawingAreaErrorKind<B::ErrorType>| anyhow!("{error}");
    // One nine more is one step further to the right.
    let nines = |share: f64| -(1.0 - share).log10();
    let points = figure.entries.iter().flat_map(|entry| &entry.curve);
    let most = points.map(|(_, millis)| *millis).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: latency", figure.title), ("sans-serif", 20))
        .margin(12)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..4.0, (0.1..most * 1.2).log_scale())
        .map_err(said)?;
    let percent = |nines: &f64| match nines.round() as i32 {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        3 => "99.9 %".to_owned(),
        _ => "99.99 %".to_owned(),
    };
    chart
        .configure_mesh()
        .x_labels(5)
        .x_label_formatter(&percent)
        .x_desc("of the records")
        .y_desc("milliseconds from the scheduled time, at most")
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(said)?;
    for (index, entry) in figure.entries.iter().enumerate() {
        let color = LINES[index % LINES.len()];
        let points = entry
            .curve
            .iter()
            .map(|(share, millis)| (nines(*share), millis.max(0.1)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))
            .map_err(said)?
            .label(entry.label.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(said)
}
