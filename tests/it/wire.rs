//! Hostile and unlucky clients: whatever one of them does, it harms itself alone.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::conform::{self, rows::Row, rows::Want};
use crate::harness::{
    Barrier, Case, Client, PING, Program, Server, assert_same, chunked, narrow, noise,
    out_of_descriptors, post, wait_for,
};

/// Requests in one byte per segment, each of them surely read by itself.
#[test]
fn one_byte_at_a_time() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    for request in [
        post("/invoke", "x-fc-request-id: id\r\n", "hello"),
        chunked("/invoke", "", b"hello", 2),
    ] {
        let mut client = server.connect();
        for byte in &request {
            client.expect_silence();
            client.send([*byte]);
            barrier.pass();
        }
        assert_eq!(client.expect(200).text(), "hello");
        client.expect_open();
    }
}

/// Every row of the grammar in two segments, cut at every position, the first surely read alone:
/// answers and refusals are the same.
#[test]
fn cut_at_every_byte() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    for row in conform::rows::rows() {
        // With an interim reply in between it would not be the same.
        if row.name == conform::rows::INTERIM {
            continue;
        }
        for cut in 1..row.bytes.len() {
            let (first, second) = row.bytes.split_at(cut);
            let mut client = server.connect();
            client.send(first);
            barrier.pass();
            client.try_send(second);
            let _case = Case((row.name, row.section, cut));
            conform::check(&mut client, row.want);
        }
    }
    assert!(!server.stdout.text().contains("smuggled"));
}

/// The rows around the limits, cut around the limits; and empty lines, which only a connection takes
/// out of the head's way.
#[test]
fn limits_do_not_depend_on_the_cut() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let mut rows = conform::rows::large();
    rows.push(Row {
        name: "empty lines are none of the head",
        section: "9112 §2.2",
        bytes: [&b"\r\n".repeat(9_000), PING].concat(),
        want: Want::Open(&["ping"]),
    });
    for row in rows {
        for cut in [
            1, 5_000, 8_190, 8_200, 8_256, 8_300, 8_390, 8_990, 9_009, 16_384, 17_000,
        ] {
            let (first, second) = row.bytes.split_at(cut.min(row.bytes.len()));
            let mut client = server.connect();
            client.send(first);
            barrier.pass();
            client.try_send(second);
            let _case = Case((row.name, row.section, cut));
            conform::check(&mut client, row.want);
        }
    }
}

#[test]
fn many_requests_in_one_write() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send(PING.repeat(10_000));
    for _ in 0..10_000 {
        assert_eq!(client.expect(200).body, b"ping");
    }
    client.expect_open();
}

/// Short and long, sized and chunked: the next one begins anywhere in a buffer, or behind it.
#[test]
fn mixed_requests_in_one_write() {
    let mut server = Server::start();
    let body = noise(200_000);
    let sizes = [
        0, 1, 100, 4_000, 32_600, 32_700, 32_768, 70_000, 200_000, 3, 65_536, 131_072,
    ];
    let mut wire = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        wire.extend(post("/invoke", "", &body[..size]));
        wire.extend(chunked(
            "/invoke",
            "",
            &body[..size],
            1 + size / 3 * (index % 2),
        ));
    }
    let mut client = server.connect();
    let sender = client.send_meanwhile(wire);
    for size in sizes {
        assert_same(&client.expect(200).body, &body[..size]);
        assert_same(&client.expect(200).body, &body[..size]);
    }
    assert!(sender.join().expect("a sender"));
    client.expect_open();
}

/// Answers that nobody reads fill the way back while more requests are still coming in.
#[test]
fn pipelined_answers_wait_for_their_reader() {
    let mut server = Server::start();
    let mut client = server.connect();
    let body = noise(20_000);
    let wire = post("/invoke", "", &body).repeat(1_000);
    let sender = client.send_meanwhile(wire);
    // Others are served meanwhile.
    let mut other = server.connect();
    for _ in 0..100 {
        other.expect_open();
    }
    for _ in 0..1_000 {
        assert_same(&client.expect(200).body, &body);
    }
    assert!(sender.join().expect("a sender"));
    client.expect_open();
}

#[test]
fn resets_harm_nobody() {
    let mut server = Server::start();
    let mut other = server.connect();
    let long = post("/invoke", "", noise(1_000_000));
    for _ in 0..20 {
        for bytes in [
            &PING[..0],
            &PING[..1],
            &PING[..30],
            PING,
            &long[..500_000],
            &long,
        ] {
            let mut client = server.connect();
            client.try_send(bytes);
            client.reset();
            other.expect_open();
        }
    }
}

/// Vanishes when a part of a long answer is read, and while the rest is on its way.
#[test]
fn clients_that_vanish_mid_answer_harm_nobody() {
    let mut server = Server::start();
    let mut other = server.connect();
    other.expect_open();
    let idle_kib = server.status_kib("VmRSS");
    let long = post("/invoke", "", noise(8 << 20));
    for n in 0..6 {
        let mut client = server.connect();
        client.send(&long);
        client.fill().expect("the beginning of an answer");
        if n % 2 == 0 {
            client.reset();
        }
        other.expect_open();
    }
    wait_for("the memory to be given back", || {
        (server.status_kib("VmRSS") <= idle_kib + 128).then_some(())
    });
    other.expect_open();
}

#[test]
fn an_answer_that_nobody_reads_delays_nobody() {
    let mut server = Server::start();
    let mut stuck = server.connect();
    stuck.send(post("/invoke", "", noise(32 << 20)));
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let began = Instant::now();
        server.call(PING, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(1),
        "one waited for {slowest:?}"
    );
    let cpu = server.cpu();
    let mut barrier = Barrier::new(&mut server);
    barrier.pass();
    // Waiting is not work: what 200 calls cost is nothing, too.
    assert!(cpu < Duration::from_secs(2), "{cpu:?}");
    assert_same(&stuck.expect(200).body, &noise(32 << 20));
    stuck.expect_open();
}

/// With the smallest window there is, so that the answer leaves in many small parts.
#[test]
fn slow_readers_get_everything() {
    let mut server = Server::start();
    server.connect().expect_open();
    let body = noise(300_000);
    let mut readers: Vec<Client> = (0..4).map(|_| narrow(&server)).collect();
    for reader in &mut readers {
        reader
            .send(post("/invoke", "", &body))
            .send(post("/other", "", "x"));
    }
    let mut other = server.connect();
    for reader in &mut readers {
        other.expect_open();
        assert_same(&reader.expect(200).body, &body);
        assert_eq!(reader.expect(200).text(), "x");
        reader.expect_open();
    }
}

/// A client that is refused and goes on sending must be able to read why: a connection closed with
/// input unread is reset, which destroys the answer on its way.
#[test]
fn refusals_reach_clients_that_still_send() {
    let mut server = Server::start();
    for head in [
        "POST /invoke HTTP/1.1\r\nHost: h\r\nContent-Length: 67108864\r\n\r\n",
        "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n",
        "POST /invoke HTTP/1.1\r\nContent-Length: 67108864\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(head);
        let piece = noise(1 << 20);
        for _ in 0..64 {
            assert!(client.try_send(&piece), "the connection was cut off");
        }
        let status = client.read_response("GET").map(|answer| answer.status);
        assert!(matches!(status, Ok(400 | 413)), "{status:?}");
        client.expect_close();
    }
    assert!(
        server.status_kib("VmHWM") < 4 * 1024,
        "what is not wanted is not kept"
    );
}

/// A client that was refused and just stays is let go in the end, and costs nobody anything.
#[test]
fn refused_clients_that_stay_are_let_go() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("x\r\n\r\n").expect(400);
        client.expect_close();
    }
    server.call(PING, 200);
    let fds = format!("/proc/{}/fd", server.pid());
    wait_for("their descriptors to be closed", || {
        let count = std::fs::read_dir(&fds).expect("/proc").count();
        (count < 20).then_some(())
    });
}

#[test]
fn idle_connections_cost_next_to_nothing() {
    let mut server = Server::start();
    let mut first = server.connect();
    first.expect_open();
    let before_kib = server.status_kib("VmRSS");
    let mut clients: Vec<Client> = (0..1_000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.expect_open();
    }
    // Long requests leave nothing behind either.
    for client in clients.iter_mut().step_by(100) {
        client.send(post("/invoke", "", noise(100_000))).expect(200);
    }
    wait_for("an idle figure", || {
        (server.status_kib("VmRSS") <= before_kib + 200).then_some(())
    });
    let cpu = server.cpu();
    for client in clients.iter_mut().rev().step_by(7) {
        client.expect_open();
    }
    assert!(server.cpu() - cpu < Duration::from_secs(1));
    drop(clients);
    first.expect_open();
}

/// Connections that have sent a little and wait own a buffer each, but only what they filled of it.
#[test]
fn half_heads_cost_little() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let before_kib = server.status_kib("VmRSS");
    let mut clients: Vec<Client> = (0..500).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&PING[..30]);
    }
    barrier.pass();
    let grown_kib = server.status_kib("VmRSS") - before_kib;
    assert!(grown_kib < 500 * 8, "{grown_kib} KiB for 500 connections");
    for client in &mut clients {
        client.send(&PING[30..]).expect(200);
    }
}

/// Out of descriptors: who is connected is served, who is not waits, and the process sleeps.
#[test]
fn descriptors_run_out() {
    let (mut server, mut clients, _) = out_of_descriptors(0);
    // Long enough for a busy loop to show: two waits for the next try, and more.
    let cpu = server.cpu();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        clients[0].expect_open();
        thread::sleep(Duration::from_millis(10));
    }
    let cpu = server.cpu() - cpu;
    assert!(
        cpu <= Duration::from_millis(100),
        "{cpu:?} of work while nothing can be done"
    );
    clients[59].expect_silence();
    // As soon as some leave, others are let in.
    for client in clients.drain(..10) {
        drop(client);
    }
    while let Some(mut client) = (!clients.is_empty()).then(|| clients.remove(0)) {
        let answer = client.read_response("GET");
        let left = clients.len();
        assert!(answer.is_ok(), "one was forgotten, {left} are left");
    }
    server.connect().expect_open();
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

#[test]
fn two_hundred_at_once() {
    let mut server = Server::start();
    server.connect().expect_open();
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    thread::scope(|scope| {
        for (index, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..20 {
                    let event = format!("{index} in {round} ").repeat(1 + index * round);
                    let request = if round % 2 == 0 {
                        post("/invoke", "", &event)
                    } else {
                        chunked("/invoke", "", event.as_bytes(), 1_000)
                    };
                    assert_same(&client.send(request).expect(200).body, event.as_bytes());
                }
            });
        }
    });
    assert_eq!(server.stdout.wait_lines(8_002).len(), 8_002);
}

/// Connections come and go; none of their slots is mixed up with the next one's.
#[test]
fn connections_come_and_go() {
    let mut server = Server::start();
    let mut clients = Vec::new();
    for n in 0..3_000_usize {
        let mut client = server.connect();
        if n % 3 == 0 {
            client.send(&PING[..n % PING.len()]);
        }
        clients.push(client);
        if clients.len() > 50 {
            let client = clients.swap_remove(n * 7 % 50);
            if n % 2 == 0 {
                client.reset();
            } else {
                drop(client);
            }
        }
    }
    server.connect().expect_open();
}

/// A client that sends one chunk after the other, each of a single byte.
#[test]
fn tiny_chunks_add_up() {
    let mut server = Server::start();
    let body = noise(300_000);
    assert_same(
        &server.call(chunked("/invoke", "", &body, 1), 200).body,
        &body,
    );
}

/// A body that never ends is stopped at the limit, and holds no more memory than it may.
#[test]
fn endless_bodies_end() {
    let mut server = Program::bootstrap().env("FNBOOT_MAX_BODY", 1 << 20).start();
    let mut client = server.connect();
    client.send("POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [&b"1000\r\n"[..], &[b'x'; 4096], b"\r\n"].concat();
    for _ in 0..4_000 {
        client.try_send(&chunk);
    }
    client.expect(413);
    client.expect_close();
    assert!(server.status_kib("VmHWM") < 3 * 1024);
}

/// What comes is served in the order in which it comes, on however many connections.
#[test]
fn nobody_is_starved() {
    let mut server = Server::start();
    let mut quiet = server.connect();
    quiet.expect_open();
    let greedy = server.connect();
    let sender = greedy.send_meanwhile(PING.repeat(100_000));
    let reader = thread::spawn(move || greedy.read_to_end());
    for _ in 0..100 {
        let began = Instant::now();
        quiet.expect_open();
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    sender.join().expect("a sender");
    server.signal(Signal::TERM);
    server.expect_exit(0);
    let answers = reader.join().expect("a reader");
    let count = answers
        .windows(4)
        .filter(|window| window == b"ping")
        .count();
    assert!(count > 0 && answers.ends_with(b"ping"));
}
