//! One background thread for everything asynchronous: proxies and API calls.
//!
//! With it, tests are plain functions, and they share connections to the API
//! server, which a runtime per test would close.

use std::{
    future::Future,
    sync::{OnceLock, mpsc},
    thread,
};

use tokio::runtime::{Builder, Handle};

/// The handle of the background runtime.
pub fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("test-support".into())
            .spawn(move || {
                let runtime =
                    Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
                sender.send(runtime.handle().clone()).expect("the test waits for the handle");
                runtime.block_on(std::future::pending::<()>());
            })
            .expect("a thread for the test support");
        receiver.recv().expect("the support thread started")
    })
}

/// Runs a future on the background runtime and waits for its value.
pub fn block_on<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    handle().spawn(async move {
        // The receiver is gone only when the waiting test has panicked.
        let _ = sender.send(future.await);
    });
    receiver.recv().expect("the future ran to its end")
}
