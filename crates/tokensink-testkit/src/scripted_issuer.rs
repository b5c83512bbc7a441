//! An issuer without a network, which does what the script says.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokensink_core::{
    Issued, IssuerError, ResetError, Token, TokenIssuer, TokenSource, async_trait,
};
use tokio::time::sleep;

use crate::script::{Call, Ending, Fault};
use crate::world::{Author, World, lands};

/// The account of a [`World`].
#[derive(Clone, Debug)]
pub struct ScriptedIssuer {
    world: World,
    run: u32,
}

impl World {
    /// The issuer of this world's token, as the newest run sees it.
    pub fn issuer(&self) -> ScriptedIssuer {
        ScriptedIssuer { world: self.clone(), run: self.this_run() }
    }
}

impl fmt::Display for ScriptedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the made-up account")
    }
}

impl ScriptedIssuer {
    /// Waits as the script says; `Ok` is how long ago the truth was that may be told now.
    async fn read(&self, call: Call, token: Option<&Token>) -> Result<Duration, IssuerError> {
        let fate = self.world.called(self.run, call, token);
        match fate.ending {
            Ending::Answered => {
                sleep(fate.takes).await;
                Ok(fate.takes / 2)
            }
            Ending::AnsweredLate(lag) => {
                sleep(fate.takes).await;
                Ok(fate.takes / 2 + lag)
            }
            Ending::Hangs(_) => pending().await,
            Ending::Failed(fault) | Ending::FailedButLands(fault, _) => {
                sleep(fate.takes).await;
                Err(issuer_error(fault))
            }
            Ending::AnswerLost(_) | Ending::Panics => {
                sleep(fate.takes).await;
                Err(issuer_error(Fault::Transient))
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
        Ok(self.world.lets_in(token, ago))
    }
}

#[async_trait]
impl TokenIssuer for ScriptedIssuer {
    async fn reset(&self) -> Result<Issued, ResetError> {
        let fate = self.world.called(self.run, Call::Reset, None);
        let (world, by) = (self.world.clone(), Author::Run(self.run));
        let unknown = || ResetError::OutcomeUnknown { message: "as scripted".to_owned() };
        match fate.ending {
            Ending::Answered | Ending::AnsweredLate(_) => {
                let landing = lands(fate.takes / 2, move || world.reset(by));
                sleep(fate.takes).await;
                let token = landing.await.map_err(|_| unknown())?;
                Ok(issued(match fate.ending {
                    Ending::AnsweredLate(lag) => self.world.live_ago(fate.takes / 2 + lag),
                    _ => token,
                }))
            }
            Ending::AnswerLost(after) => {
                lands(after, move || world.reset(by));
                sleep(fate.takes).await;
                Err(unknown())
            }
            Ending::Hangs(after) => {
                if let Some(after) = after {
                    lands(after, move || world.reset(by));
                }
                pending().await
            }
            Ending::Failed(fault) | Ending::FailedButLands(fault, _) => {
                if let Ending::FailedButLands(_, after) = fate.ending {
                    lands(after, move || world.reset(by));
                }
                sleep(fate.takes).await;
                let message = "as scripted".to_owned();
                Err(match fault {
                    Fault::NotSent => ResetError::NotSent { message },
                    Fault::Transient => ResetError::OutcomeUnknown { message },
                    _ => ResetError::Refused { message },
                })
            }
            Ending::Panics => {
                sleep(fate.takes).await;
                Err(unknown())
            }
        }
    }
}

fn issued(token: Token) -> Issued {
    Issued::new(token)
}

fn issuer_error(fault: Fault) -> IssuerError {
    let message = "as scripted".to_owned();
    match fault {
        Fault::Permanent => IssuerError::Permanent { message },
        Fault::Limited(wait) => IssuerError::Transient { message, retry_after: Some(wait) },
        _ => IssuerError::Transient { message, retry_after: None },
    }
}
