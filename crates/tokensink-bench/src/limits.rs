//! Measures a reset under GitHub's secondary limits: how much longer it takes than the limits demand, how
//! many requests are refused, and whether sinks of other providers are delayed.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::BenchError;
use crate::place::{Measured, Mix, Place};

/// A number of writes that takes more than one minute and less than two under the limit.
const SINKS: usize = 360;

/// The minimum waiting time of the 81st write.
const ALLOWED: Duration = Duration::from_secs(60);

pub(crate) async fn measure(program: &Path, round_trip: Duration) -> Result<String, BenchError> {
    let place = Place::new(Mix::LimitedGitHub, SINKS, round_trip).await?;
    place.sandbox.github.enforce_secondary_limits();
    let Measured { outage, forecast, .. } = place.measure(program).await?;
    let requests = place.sandbox.github.requests();
    let refused = requests.iter().filter(|request| [403, 429].contains(&request.status)).count();
    let others = place.last_put_to_aws()?;
    Ok(format!(
        "\n{} repositories under GitHub's secondary limits beside {} secrets of AWS: {outage:.1?}, {:.2} of \
         what the limits demand; forecast {:.1?}; {refused} requests refused; the last secret of AWS \
         {others:.0?} after the reset.\n",
        place.repositories.len(),
        place.secrets.len(),
        outage.as_secs_f64() / ALLOWED.as_secs_f64(),
        forecast.unwrap_or_default(),
    ))
}

impl Place {
    fn last_put_to_aws(&self) -> Result<Duration, BenchError> {
        let reset: Instant = self.reset_at()?;
        let last = self.puts_to_aws().last().ok_or("nothing was put")?;
        Ok(last - reset)
    }
}
