//! Draws a chart of the outage by the number of sinks, for tokensink and for other tools.

use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;

use crate::BenchError;
use crate::place::Mix;
use crate::table::Row;

const SIZE: (u32, u32) = (720, 420);

struct Line {
    label: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws `rows` into an SVG at `file` with logarithmic axes.
pub(crate) fn draw(rows: &[Row], round_trip: Duration, file: &Path) -> Result<(), BenchError> {
    let canvas = SVGBackend::new(file, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&canvas)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d((1.0..1000.0_f64).log_scale(), (0.02..200.0_f64).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("sinks")
        .y_desc("seconds from the reset to the last write")
        .x_label_formatter(&|sinks| format!("{sinks:.0}"))
        .y_label_formatter(&|seconds| format!("{seconds}"))
        .light_line_style(WHITE)
        .draw()?;
    for Line { label, colour, points } in lines(rows, round_trip) {
        let marks: Vec<_> =
            points.iter().map(|point| Circle::new(*point, 3, colour.filled())).collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(marks)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    canvas.present()?;
    Ok(())
}

fn lines(rows: &[Row], round_trip: Duration) -> [Line; 4] {
    let of = |outage: &dyn Fn(&Row) -> Option<Duration>| -> Vec<(f64, f64)> {
        let shown = rows.iter().filter(|row| row.is_on_the_line());
        let points = shown.filter_map(|row| Some((row.sinks as f64, outage(row)?)));
        points.map(|(sinks, outage)| (sinks, outage.as_secs_f64())).collect()
    };
    [
        Line {
            label: "the vendors' CLIs",
            colour: RGBColor(200, 60, 40),
            points: of(&|row| Some(row.vendors?.outage)),
        },
        Line {
            label: "a loop of curl calls, prepared",
            colour: RGBColor(220, 150, 30),
            points: of(&|row| Some(row.curl?.outage)),
        },
        Line {
            label: "tokensink",
            colour: RGBColor(20, 120, 180),
            points: of(&|row| Some(row.ours.outage)),
        },
        Line {
            label: "one round trip",
            colour: RGBColor(150, 150, 150),
            points: of(&|_| Some(round_trip)),
        },
    ]
}

impl Row {
    /// Returns whether the row is in the chart, which has one row for each number of sinks.
    fn is_on_the_line(&self) -> bool {
        match self.mix {
            Mix::All => true,
            Mix::GitHub => self.sinks == 1 || self.sinks == 1000,
            Mix::Dotenv | Mix::Aws | Mix::LimitedGitHub => false,
        }
    }
}
