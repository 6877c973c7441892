//! Programs and clients, so that a test reads as the traffic it is about.
//!
//! A [`Server`] owns a process: it is started with nothing in its environment but what the test
//! says, killed at the end whatever happens, and must then have left standard error empty, unless
//! the test took it. A [`Client`] is one connection; every read and write has a deadline. Nothing
//! here sleeps to let something happen: it waits for the thing itself.

use std::env;
use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, Signal};

use crate::{port, process};

/// Nothing that a test waits for takes that long, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often something is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(1);

/// A request that any test can use to see whether a connection still serves.
pub const PING: &[u8] = b"POST /invoke HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nping";

/// The program under test.
pub fn bootstrap() -> PathBuf {
    built("BOOTSTRAP", "pkg/bootstrap")
}

/// The same for one platform alone.
pub fn smallest() -> PathBuf {
    built("SMALLEST", "pkg/fc/bootstrap")
}

/// The program under test, for arm64.
pub fn bootstrap_arm64() -> PathBuf {
    built("BOOTSTRAP_ARM64", "pkg/aarch64/bootstrap")
}

/// A handler of `tests/fixture`, built as a program.
pub fn fixture(name: &str) -> PathBuf {
    let folder = "target/x86_64-unknown-linux-musl/release/examples";
    built("FIXTURES", folder).join(name)
}

/// A function of `examples/`, built as a static `bootstrap`.
pub fn example(name: &str) -> PathBuf {
    built("EXAMPLES", "pkg").join(name).join("bootstrap")
}

/// The local tool.
pub fn tool() -> PathBuf {
    built("FNBOOT_TOOL", "target/debug/fnboot")
}

/// What `make` built, or what a variable names instead.
fn built(variable: &str, default: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(env::var_os(variable).unwrap_or_else(|| default.into()))
}

/// Fails where a program is missing, with the remedy.
#[track_caller]
pub fn assert_built(path: &Path) {
    let name = path.display();
    assert!(
        path.is_file(),
        "no {name}: `make test` builds what the tests run"
    );
}

/// Looks until `look` finds something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(POLL);
    }
}

/// States of a socket, as `/proc/net/tcp` numbers them.
pub const ESTABLISHED: u8 = 1;
pub const SYN_SENT: u8 = 2;
pub const CLOSE_WAIT: u8 = 8;
pub const LISTEN: u8 = 10;

/// A TCP socket of this machine (proc(5), `/proc/net/tcp`).
pub struct Socket {
    pub local: u16,
    pub remote: u16,
    pub state: u8,
    pub unread_bytes: u64,
    /// If it looks from time to time whether its peer is still there: in how many seconds.
    pub keepalive_seconds: Option<u64>,
}

/// The server's end of a connection. Ports are used again: another connection may have one of the two.
pub fn peer_of(stream: &TcpStream) -> Option<Socket> {
    let local = stream.peer_addr().expect("an address").port();
    let remote = stream.local_addr().expect("an address").port();
    sockets().find(|socket| (socket.local, socket.remote) == (local, remote))
}

/// Those that there are.
pub fn sockets() -> impl Iterator<Item = Socket> {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let rows = table.lines().skip(1).map(|row| {
        // number, local and remote address:port, state, unsent:unread, timer:ticks, …
        let mut words = row.split([' ', ':']).filter(|word| !word.is_empty());
        let mut hex =
            |index| u64::from_str_radix(words.nth(index).expect("a word"), 16).expect("hex");
        let (local, remote) = (hex(2) as u16, hex(1) as u16);
        let (state, unread_bytes) = (hex(0) as u8, hex(1));
        let (timer, ticks) = (hex(0), hex(0));
        Socket {
            local,
            remote,
            state,
            unread_bytes,
            // A tick is 10 ms wherever Linux tells user space (`USER_HZ`).
            keepalive_seconds: (timer == 2).then_some(ticks / 100),
        }
    });
    rows.collect::<Vec<_>>().into_iter()
}

/// A folder of the test's own, which is gone after it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fnboot-test-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a file there, in place of one that may be in use.
    pub fn file(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> PathBuf {
        let (path, newer) = (self.at(name), self.at(".newer"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&newer, content).expect("a file");
        fs::set_permissions(&newer, fs::Permissions::from_mode(mode)).expect("a mode");
        fs::rename(&newer, &path).expect("a name");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test that fails leaves no second failure.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The local tool playing a platform on the program's port, with the program behind it.
pub fn serving(program: Program, options: &[&str]) -> Server {
    assert_built(&tool());
    let (port, tool) = (program.port().to_string(), tool());
    let tool = tool.to_str().expect("text");
    let words = [&[tool, "serve", "--port", &port], options].concat();
    program.without_port().under(&words).start()
}

/// `program` in a network of its own, in which every port is free.
pub fn own_network_and<'a>(program: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    let is_root = rustix::process::geteuid().is_root();
    let as_user = ["--user", "--map-root-user"];
    let as_user = if is_root { &[][..] } else { &as_user };
    [&["unshare", "--net"], as_user, &["--", program], arguments].concat()
}

/// Runs a test in a network of its own, of which it says the name: this program is started again for it
/// alone.
#[track_caller]
pub fn in_own_network(test: &str, body: impl FnOnce()) {
    const IS_INSIDE: &str = "FNBOOT_OWN_NETWORK";
    if env::var_os(IS_INSIDE).is_some() {
        return body();
    }
    let program = env::current_exe().expect("this program");
    let program = program.to_str().expect("text");
    let script = "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture";
    let words = own_network_and("/bin/sh", &["-c", script, program, test]);
    let mut command = Command::new(words[0]);
    let output = command.args(&words[1..]).env(IS_INSIDE, "1").output();
    let output = output.expect("unshare");
    let shown = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && shown.contains("test result: ok. 1 passed");
    assert!(
        has_passed,
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a process wrote so far, read by a thread as it comes.
#[derive(Clone, Default)]
pub struct Output {
    /// The pipe, which is read by who holds the lock of the bytes: whoever finds it empty then has all of them.
    pipe: Option<Arc<OwnedFd>>,
    bytes: Arc<(Mutex<Vec<u8>>, Condvar)>,
}

impl Output {
    /// And the thread that reads.
    fn of(pipe: impl Into<OwnedFd>) -> (Self, JoinHandle<()>) {
        let output = Self {
            pipe: Some(Arc::new(pipe.into())),
            bytes: Arc::default(),
        };
        let reader = output.clone();
        (output, thread::spawn(move || reader.collect()))
    }

    fn collect(&self) {
        let pipe = self.pipe.as_ref().expect("a pipe");
        let mut piece = vec![0; 64 * 1024];
        loop {
            let mut wanted = [PollFd::new(pipe, PollFlags::IN)];
            let _ = rustix::event::poll(&mut wanted, None);
            let mut bytes = self.lock();
            match rustix::io::read(pipe, &mut piece[..]) {
                Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
                Err(rustix::io::Errno::INTR) => {}
                _ => return,
            }
            self.bytes.1.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        let bytes = self.bytes.0.lock();
        bytes.expect("no test panics while it holds this")
    }

    /// Locks it once it has all that was written until now.
    fn lock_all(&self) -> MutexGuard<'_, Vec<u8>> {
        loop {
            let bytes = self.lock();
            let pipe = self.pipe.as_ref();
            let left = pipe.map(rustix::io::ioctl_fionread);
            if !matches!(left, Some(Ok(1..))) {
                return bytes;
            }
            drop(bytes);
            thread::yield_now();
        }
    }

    /// Everything so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock_all()).into_owned()
    }

    /// Takes everything so far.
    pub fn take(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.lock_all())).into_owned()
    }

    /// Waits until what was written satisfies `is_enough`, and returns it.
    #[track_caller]
    pub fn wait_until(&self, is_enough: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = self.lock();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if is_enough(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Or the thread that reads would fail, too.
                drop(bytes);
                panic!("the output is only {text:?}");
            }
            bytes = self.bytes.1.wait_timeout(bytes, left).expect("as above").0;
        }
    }

    /// Waits for that many lines, and returns them.
    #[track_caller]
    pub fn wait_lines(&self, count: usize) -> Vec<String> {
        let text = self.wait_until(|text| text.matches('\n').count() >= count);
        text.lines().map(String::from).collect()
    }
}

/// How a program is started.
pub struct Program {
    /// A program and arguments that run the program under test, e.g. `sh -c …`.
    wrapper: Vec<String>,
    path: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    port: u16,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Program {
    pub fn bootstrap() -> Self {
        Self::at(bootstrap())
    }

    pub fn fixture(name: &str) -> Self {
        Self::at(fixture(name))
    }

    /// The program at `path`, on a free port.
    pub fn at(path: PathBuf) -> Self {
        assert_built(&path);
        let port = port::free().expect("a port");
        let variables = vec![(String::from("FC_SERVER_PORT"), port.to_string())];
        Self {
            wrapper: Vec::new(),
            path,
            arguments: Vec::new(),
            variables,
            port,
            stdout: None,
            stderr: None,
        }
    }

    /// With a variable in its environment.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.into(), value.to_string()));
        self
    }

    /// With these arguments behind those that it has.
    pub fn arguments<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With all of these.
    pub fn envs(self, variables: &[(&str, &str)]) -> Self {
        let add = |program: Self, &(name, value): &(&str, &str)| program.env(name, value);
        variables.iter().fold(self, add)
    }

    /// Without the variable that names its port, which the test sets in another way.
    pub fn without_port(mut self) -> Self {
        self.variables.retain(|(name, _)| name != "FC_SERVER_PORT");
        self
    }

    /// The port it is expected to listen on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Started by `wrapper`, which is given the program's path behind its own arguments, and then the program's.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// Started by a shell that runs `script`, in which `"$0"` is the program, and `"$@"` its arguments.
    pub fn in_shell(self, script: &str) -> Self {
        self.under(&["/bin/sh", "-c", script])
    }

    /// With standard output going elsewhere than to [`Server::stdout`].
    pub fn stdout(mut self, stdout: impl Into<OwnedFd>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// The same for standard error.
    pub fn stderr(mut self, stderr: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    fn command(&self) -> Command {
        let mut words = self.wrapper.iter().map(Into::into).collect::<Vec<_>>();
        words.push(self.path.clone());
        let mut command = Command::new(&words[0]);
        // A group of its own: what a wrapper started ends with it.
        command.process_group(0);
        command.args(&words[1..]).args(&self.arguments);
        command.env_clear().stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it. Returns at once: the first [`Client`] waits until somebody listens, and so is the
    /// very first connection.
    pub fn start(self) -> Server {
        let mut command = self.command();
        let stdout = self.stdout.map_or_else(Stdio::piped, Stdio::from);
        let stderr = self.stderr.map_or_else(Stdio::piped, Stdio::from);
        let mut child = command
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("start");
        let stdout = child.stdout.take().map(Output::of);
        let stderr = child.stderr.take().map(Output::of);
        let (stdout, of_stdout) = stdout.unzip();
        let (stderr, of_stderr) = stderr.unzip();
        let readers = [of_stdout, of_stderr].into_iter().flatten().collect();
        Server {
            child,
            readers,
            port: self.port,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            is_over: false,
        }
    }

    /// Runs it to its end, which must come by itself: exit status, standard output and error.
    #[track_caller]
    pub fn run(self) -> (ExitStatus, String, String) {
        let mut server = self.start();
        let status = server.wait();
        (status, server.stdout.take(), server.stderr.take())
    }
}

/// A program that runs.
pub struct Server {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    pub port: u16,
    pub stdout: Output,
    pub stderr: Output,
    is_over: bool,
}

impl Server {
    /// The program with nothing special about it.
    pub fn start() -> Self {
        Program::bootstrap().start()
    }

    /// Waits until it has a listener, without a connection to it.
    #[track_caller]
    pub fn wait_until_listening(&self) {
        wait_for("a listener", || {
            let is_it = |socket: Socket| socket.state == LISTEN && socket.local == self.port;
            sockets().any(is_it).then_some(())
        });
    }

    /// A new connection, as soon as it can be had.
    #[track_caller]
    pub fn connect(&mut self) -> Client {
        let stream = wait_for("a listener", || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
            let is_fine = stream.is_some() || self.is_alive();
            assert!(is_fine, "the program ended: {:?}", self.stderr.take());
            stream
        });
        Client::new(stream)
    }

    /// Sends one request on a connection of its own and returns the answer.
    #[track_caller]
    pub fn call(&mut self, request: impl AsRef<[u8]>, status: u16) -> Response {
        self.connect().send(request).expect(status)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("kill");
    }

    /// Waits for the end, and for everything that was written.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the program to end", || {
            self.child.try_wait().expect("wait")
        });
        self.read_out();
        status
    }

    /// Waits for the end that `SIGTERM` asked for.
    #[track_caller]
    pub fn expect_exit(&mut self, code: i32) {
        let status = self.wait();
        assert_eq!(
            status.code(),
            Some(code),
            "{status}, stderr {:?}",
            self.stderr.text()
        );
    }

    fn read_out(&mut self) {
        self.is_over = true;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
    }

    /// A figure of `/proc/PID/status`, in KiB.
    pub fn status_kib(&self, name: &str) -> u64 {
        process::status(self.child.id(), name).expect("a figure")
    }

    /// Processor time used so far.
    pub fn cpu(&self) -> Duration {
        let (user, system) = process::processor_ticks(self.child.id()).expect("two numbers");
        // A tick is 10 ms wherever Linux tells user space (`USER_HZ`).
        Duration::from_millis(10 * (user + system))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_over {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
            self.read_out();
        }
        if !thread::panicking() {
            assert_eq!(self.stderr.text(), "", "standard error");
        }
    }
}

/// One connection to a server.
pub struct Client {
    stream: TcpStream,
    /// What came and was not yet looked at.
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("set_nodelay");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("set_read_timeout");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("set_write_timeout");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("send");
        self
    }

    /// Sends as far as the server takes it; whether it took all.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends from a thread of its own, because answers are to be read meanwhile; whether the server took
    /// all.
    pub fn send_meanwhile(&self, bytes: Vec<u8>) -> JoinHandle<bool> {
        let mut sender = Self::new(self.stream.try_clone().expect("clone"));
        thread::spawn(move || sender.try_send(bytes))
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
        self
    }

    /// Ends the connection the rude way.
    pub fn reset(self) {
        let linger = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        linger.expect("SO_LINGER");
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads one response to anything but HEAD; everything about it is checked.
    #[track_caller]
    pub fn expect(&mut self, status: u16) -> Response {
        self.response(status, "GET")
    }

    /// Reads one response to HEAD: its head only.
    #[track_caller]
    pub fn expect_head(&mut self, status: u16) -> Response {
        self.response(status, "HEAD")
    }

    #[track_caller]
    fn response(&mut self, status: u16, method: &str) -> Response {
        let response = self
            .read_response(method)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(response.status, status, "{response:?}");
        response
    }

    /// Reads one response, or says what is wrong with it.
    pub fn read_response(&mut self, method: &str) -> Result<Response, String> {
        let head_len = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill().map_err(|error| format!("no head: {error}"))? == 0 {
                let got = String::from_utf8_lossy(&self.buffer);
                return Err(format!("the end after {got:?} instead of a response"));
            }
        };
        let head: Vec<u8> = self.buffer.drain(..head_len).collect();
        let mut response = Response::parse(&head)?;
        let len = response.body_len(method)?;
        while self.buffer.len() < len {
            if self.fill().map_err(|error| format!("no body: {error}"))? == 0 {
                return Err(format!("{} of {len} bytes of a body", self.buffer.len()));
            }
        }
        response.body = self.buffer.drain(..len).collect();
        Ok(response)
    }

    /// Reads the interim response and nothing else.
    #[track_caller]
    pub fn expect_continue(&mut self) -> &mut Self {
        let want = b"HTTP/1.1 100 Continue\r\n\r\n";
        while self.buffer.len() < want.len() && self.fill().expect("read") > 0 {}
        assert_eq!(
            String::from_utf8_lossy(&self.buffer),
            String::from_utf8_lossy(want)
        );
        self.buffer.clear();
        self
    }

    /// The server must end the connection properly, with nothing more said.
    #[track_caller]
    pub fn expect_close(&mut self) {
        let end = self.fill();
        let rest = String::from_utf8_lossy(&self.buffer);
        assert!(
            matches!(end, Ok(0)) && rest.is_empty(),
            "no end: {end:?}, {rest:?}"
        );
    }

    /// The connection must serve another request.
    #[track_caller]
    pub fn expect_open(&mut self) {
        let answer = self.send(PING).expect(200);
        assert_eq!(answer.body, b"ping");
    }

    /// Whether the connection is open and nothing has come.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("set_nonblocking");
        let got = self.fill();
        self.stream.set_nonblocking(false).expect("set_nonblocking");
        got.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) && self.buffer.is_empty()
    }

    /// Nothing may have come so far.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        let is_silent = self.is_silent();
        assert!(
            is_silent,
            "early: {:?}",
            String::from_utf8_lossy(&self.buffer)
        );
    }

    /// Everything up to the end of the connection, however it ends.
    pub fn read_to_end(mut self) -> Vec<u8> {
        while let Ok(1..) = self.fill() {}
        self.buffer
    }

    /// Everything up to and with `end`, as it came.
    #[track_caller]
    pub fn read_bytes_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.buffer, end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            let count = self.fill().expect("read");
            assert!(count > 0, "the end after {} bytes", self.buffer.len());
        }
    }

    /// The next bytes, so many.
    #[track_caller]
    pub fn read_bytes(&mut self, len: usize) -> Vec<u8> {
        self.read_until(|came| came.len() >= len);
        self.buffer.drain(..len).collect()
    }

    /// The next chunk of a body; of the last one, which is empty, not the trailers.
    #[track_caller]
    pub fn read_chunk(&mut self) -> Vec<u8> {
        let size = String::from_utf8(self.read_bytes_until(b"\r\n")).expect("a size");
        let len = usize::from_str_radix(size.trim_end_matches("\r\n"), 16).expect("a size");
        let chunk = self.read_bytes(len);
        assert!(len == 0 || self.read_bytes(2) == b"\r\n");
        chunk
    }

    /// What came and was not yet looked at, once that is enough.
    #[track_caller]
    pub fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        while !is_enough(&self.buffer) {
            let count = self.fill().expect("read");
            let got = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(500)]);
            assert!(count > 0, "the end after {got:?}");
        }
        &self.buffer
    }

    /// Takes what came and was not yet looked at.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// One read; how many bytes came.
    pub fn fill(&mut self) -> std::io::Result<usize> {
        let mut piece = [0; 64 * 1024];
        let mut read = || self.stream.read(&mut piece);
        let count = loop {
            match read() {
                // A read with a deadline is not begun again by itself where the process was stopped, or
                // frozen, meanwhile: signal(7).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

/// A connection whose receive buffer is as small as the kernel allows, to a server that listens.
pub fn narrow(server: &Server) -> Client {
    // Or a program that another test starts at this moment would have it.
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let socket = socket.expect("socket");
    sockopt::set_socket_recv_buffer_size(&socket, 2048).expect("SO_RCVBUF");
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, server.port);
    net::connect(&socket, &address).expect("connect");
    Client::new(TcpStream::from(socket))
}

/// A server that has no descriptors left, and 60 clients that have sent a request: the first ten were
/// served, the last one is not. Between the ten and the others `silent_count` more have connected.
#[track_caller]
pub fn out_of_descriptors(silent_count: usize) -> (Server, Vec<Client>, Vec<Client>) {
    let program = Program::bootstrap().in_shell("ulimit -n 24 && exec \"$0\"");
    let mut server = program.start();
    let mut connect = |count| (0..count).map(|_| server.connect()).collect::<Vec<_>>();
    let (mut clients, silent) = (connect(10), connect(silent_count));
    clients.extend(connect(50));
    for client in &mut clients {
        client.send(PING);
    }
    for client in &mut clients[..10] {
        client.expect(200);
    }
    clients[0].expect_open();
    clients[59].expect_silence();
    (server, clients, silent)
}

/// A connection by whose answers a test knows that the server has seen to everything that came
/// before: it serves connections in the order in which they become ready.
pub struct Barrier {
    client: Client,
    request: Vec<u8>,
}

impl Barrier {
    pub fn new(server: &mut Server) -> Self {
        Self::new_for(server, PING)
    }

    /// One that sends this request, where the function answers [`PING`] in another way.
    pub fn new_for(server: &mut Server, request: impl AsRef<[u8]>) -> Self {
        let mut barrier = Self {
            client: server.connect(),
            request: request.as_ref().to_vec(),
        };
        barrier.pass();
        barrier
    }

    /// The server must end this connection, as it does when it is to end.
    #[track_caller]
    pub fn expect_close(&mut self) {
        self.client.expect_close();
    }

    /// Returns when the server has read what was sent before on any connection.
    #[track_caller]
    pub fn pass(&mut self) {
        self.client.send(&self.request).expect(200);
    }
}

/// A response that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Takes nothing but what RFC 9112 lets a server send, and of that only what this one should.
    fn parse(head: &[u8]) -> Result<Self, String> {
        let text: String = head.iter().copied().map(char::from).collect();
        let bad = |what: &str| Err(format!("{what}: {text:?}"));
        let mut lines = text
            .strip_suffix("\r\n\r\n")
            .unwrap_or_default()
            .split("\r\n");
        let Some((status, reason)) = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.split_at_checked(3))
        else {
            return bad("status line");
        };
        let is_phrase = reason.starts_with(' ') && !reason.contains(char::is_control);
        let (Ok(status @ 200..=599), true) = (status.parse(), is_phrase) else {
            return bad("status line");
        };
        let mut headers = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else {
                return bad("field");
            };
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(is_token) || value.contains(is_control) {
                return bad("field");
            }
            headers.push((name.to_ascii_lowercase(), value.to_string()));
        }
        let response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        if response.all("date").len() != 1 || !is_date(response.all("date")[0]) {
            return bad("Date");
        }
        if !response.all("transfer-encoding").is_empty() {
            return bad("Transfer-Encoding");
        }
        Ok(response)
    }

    /// RFC 9112 §6.3: how long the body is.
    fn body_len(&self, method: &str) -> Result<usize, String> {
        let lengths = self.all("content-length");
        if self.status == 204 || self.status == 304 {
            return if lengths.is_empty() {
                Ok(0)
            } else {
                Err(format!("a length: {self:?}"))
            };
        }
        let [length] = lengths[..] else {
            return Err(format!("not one length: {self:?}"));
        };
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| is_number);
        let length: usize = length.ok_or_else(|| format!("no length: {self:?}"))?;
        Ok(if method == "HEAD" { 0 } else { length })
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that must be there once, or not at all.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// The form that RFC 9110 §5.6.7 prescribes: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn is_date(date: &str) -> bool {
    let form = "Aaa, 00 Aaa 0000 00:00:00 GMT";
    let fits = |(form, c): (char, char)| match form {
        '0' => c.is_ascii_digit(),
        'A' => c.is_ascii_uppercase(),
        'a' => c.is_ascii_lowercase(),
        other => other == c,
    };
    date.len() == form.len() && form.chars().zip(date.chars()).all(fits)
}

/// Names the row of a table that a test is at, if it fails there.
pub struct Case<T: Debug>(pub T);

impl<T: Debug> Drop for Case<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("at {:?}", self.0);
        }
    }
}

/// Where `part` begins in `whole`.
pub fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

/// A request without a body.
pub fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

/// A request with a body.
pub fn post(target: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    sized(
        &format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}"),
        body,
    )
}

/// The same with the body in chunks of at most `size` bytes.
pub fn chunked(target: &str, fields: &str, body: &[u8], size: usize) -> Vec<u8> {
    in_chunks(
        &format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}"),
        body,
        size,
    )
}

/// A message that begins with `head`, and has a body of that length.
pub fn sized(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same with the body in chunks of at most `size` bytes.
pub fn in_chunks(head: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut message = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        message.extend_from_slice(chunk);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"0\r\n\r\n");
    message
}

/// Every one of them must be a line of the text.
#[track_caller]
pub fn assert_lines(text: &str, wants: &[&str]) {
    for want in wants {
        assert!(
            text.lines().any(|line| line == *want),
            "no {want} in {text}"
        );
    }
}

/// Bytes that repeat nowhere within a page, so that a shifted copy is seen.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares long bodies without printing them.
#[track_caller]
pub fn assert_same(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    assert_eq!(got.len(), want.len(), "length");
    let first = got.iter().zip(want).position(|(got, want)| got != want);
    assert_eq!(first, None, "first difference");
}
