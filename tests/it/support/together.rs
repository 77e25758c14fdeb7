//! Commits whose members are chosen.

use spandrel::store::{Make, Pending, Refusal, Store, Submission};
use tokio::sync::oneshot;

/// What is to be one commit.
struct Together {
    submissions: Vec<Submission>,
    reply: oneshot::Sender<Vec<Result<(), Refusal>>>,
}

impl Pending for Together {
    fn commit(self: Box<Self>, make: Make<'_>) {
        self.reply.send(make(&self.submissions).unwrap()).unwrap();
    }
}

/// Makes submissions in one commit; what is answered to each.
pub(crate) async fn together(
    store: &dyn Store,
    submissions: impl Iterator<Item = Submission>,
) -> Vec<Result<(), Refusal>> {
    let (reply, answer) = oneshot::channel();
    store.commit(Box::new(Together { submissions: submissions.collect(), reply }));
    answer.await.unwrap()
}
