//! Mail over SMTP.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport, Tokio1Executor};

use super::robots::Verdict;
use super::target::Target;

/// Sends mail of one target.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// A mailer over the target's server; connections are made when there is something to send.
    ///
    /// # Errors
    /// Where its URL or sender cannot be read. The message does not show the URL.
    pub(super) fn new(target: &Target) -> Result<Mailer, String> {
        let from =
            target.mail.from.parse().map_err(|_| format!("`{}` is no sender of mail", target.mail.from))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&target.url)
            .map_err(|_| {
                "its URL is none of SMTP; write smtp://host:25 or smtps://user:password@host".to_owned()
            })?
            .timeout(Some(target.timeout.max(Duration::from_secs(1))))
            .build();
        Ok(Mailer { transport, from })
    }

    /// Sends one mail to several people.
    pub(super) async fn send(&self, receivers: &[String], subject: &str, text: String) -> Verdict {
        let mut mail =
            Message::builder().from(self.from.clone()).subject(subject).header(ContentType::TEXT_PLAIN);
        let mut any = false;
        for receiver in receivers {
            match receiver.parse::<Mailbox>() {
                Ok(mailbox) => {
                    mail = mail.to(mailbox);
                    any = true;
                }
                Err(error) => tracing::warn!(receiver, %error, "this is no mail address"),
            }
        }
        if !any {
            return Verdict::Refused("nobody who was told has a mail address".to_owned());
        }
        let mail = match mail.body(text) {
            Ok(mail) => mail,
            Err(error) => return Verdict::Refused(format!("the mail cannot be written: {error}")),
        };
        match self.transport.send(mail).await {
            Ok(_) => Verdict::Accepted,
            Err(error) if error.is_permanent() => Verdict::Refused(format!("the server refused it: {error}")),
            Err(error) => Verdict::Later(error.to_string()),
        }
    }
}
