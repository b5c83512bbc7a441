//! An issuer in memory whose behavior is scripted.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokensink_core::{
    Issued, IssuerError, ResetError, Token, TokenIssuer, TokenSource, async_trait,
};
use tokio::time::sleep;

use crate::script::{Call, Ending, ScriptedError};
use crate::world::{Author, World, take_effect_after};

/// The issuer of a [`World`].
#[derive(Clone, Debug)]
pub struct ScriptedIssuer {
    world: World,
    run: u32,
}

impl World {
    /// Returns the issuer for the newest run.
    pub fn issuer(&self) -> ScriptedIssuer {
        ScriptedIssuer { world: self.clone(), run: self.this_run() }
    }
}

impl fmt::Display for ScriptedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scripted account")
    }
}

impl ScriptedIssuer {
    /// Waits as scripted. Returns the age of the state that a successful response contains.
    async fn read(&self, call: Call, token: Option<&Token>) -> Result<Duration, IssuerError> {
        let response = self.world.called(self.run, call, token);
        match response.ending {
            Ending::Succeeded => {
                sleep(response.takes).await;
                Ok(response.takes / 2)
            }
            Ending::SucceededWithStaleValue(lag) => {
                sleep(response.takes).await;
                Ok(response.takes / 2 + lag)
            }
            Ending::Hangs(_) => pending().await,
            Ending::Failed(error) | Ending::FailedWithEffect(error, _) => {
                sleep(response.takes).await;
                Err(issuer_error(error))
            }
            Ending::ResponseLost(_) | Ending::Panics => {
                sleep(response.takes).await;
                Err(issuer_error(ScriptedError::Transient))
            }
        }
    }
}

#[async_trait]
impl TokenSource for ScriptedIssuer {
    async fn current(&self) -> Result<Issued, IssuerError> {
        let ago = self.read(Call::Current, None).await?;
        let token = self.world.live_ago(ago);
        Ok(issued(token))
    }

    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        let ago = self.read(Call::Accepts, Some(token)).await?;
        Ok(self.world.accepts(token, ago))
    }
}

#[async_trait]
impl TokenIssuer for ScriptedIssuer {
    async fn reset(&self) -> Result<Issued, ResetError> {
        let response = self.world.called(self.run, Call::Reset, None);
        let (world, by) = (self.world.clone(), Author::Run(self.run));
        let unknown = || ResetError::OutcomeUnknown { message: "as scripted".to_owned() };
        match response.ending {
            Ending::Succeeded | Ending::SucceededWithStaleValue(_) => {
                let effect = take_effect_after(response.takes / 2, move || world.reset(by));
                sleep(response.takes).await;
                let token = effect.await.map_err(|_| unknown())?;
                Ok(issued(match response.ending {
                    Ending::SucceededWithStaleValue(lag) => {
                        self.world.live_ago(response.takes / 2 + lag)
                    }
                    _ => token,
                }))
            }
            Ending::ResponseLost(after) => {
                take_effect_after(after, move || world.reset(by));
                sleep(response.takes).await;
                Err(unknown())
            }
            Ending::Hangs(after) => {
                if let Some(after) = after {
                    take_effect_after(after, move || world.reset(by));
                }
                pending().await
            }
            Ending::Failed(error) | Ending::FailedWithEffect(error, _) => {
                if let Ending::FailedWithEffect(_, after) = response.ending {
                    take_effect_after(after, move || world.reset(by));
                }
                sleep(response.takes).await;
                let message = "as scripted".to_owned();
                Err(match error {
                    ScriptedError::NotSent => ResetError::NotSent { message },
                    ScriptedError::Transient => ResetError::OutcomeUnknown { message },
                    _ => ResetError::Refused { message },
                })
            }
            Ending::Panics => {
                sleep(response.takes).await;
                Err(unknown())
            }
        }
    }
}

fn issued(token: Token) -> Issued {
    Issued::new(token)
}

fn issuer_error(error: ScriptedError) -> IssuerError {
    let message = "as scripted".to_owned();
    match error {
        ScriptedError::Permanent => IssuerError::Permanent { message },
        ScriptedError::RateLimited(wait) => {
            IssuerError::Transient { message, retry_after: Some(wait) }
        }
        _ => IssuerError::Transient { message, retry_after: None },
    }
}
