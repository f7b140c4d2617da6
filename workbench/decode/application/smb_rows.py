"""What the kernels of SMB 2 and 3 hold of a source's connections: rows of one pool, joined to lists by their places.

One pool of plain numbers for everything: kernels that are handed a dozen arrays of records took 13 s to compile. What the
numbers of a row are depends on what it is. Column NEXT is the place of the next row in its list, -1 none; columns 1 and 2
are what it is found by.
"""

from __future__ import annotations

from typing import Final

#: Bounds of one connection.
MOST_TREES: Final = 256
MOST_PIPES: Final = 64
MOST_KINDS: Final = 256
#: Commands of one message that are looked at, and the events that one of them can cause.
MOST_CHAINED: Final = 64
EVENTS_EACH: Final = 4

WIDTH: Final = 20
NEXT: Final = 0
#: What a row is; 0: free.
WHAT: Final = 19
FLOW, WAIT, SHARED, OPEN, KIND = range(1, 6)

#: A connection: its number, 0, how many were opened before it, the revision agreed on (0 not yet), whether Python was told of
#: it. Then four lists: place of the first row and of the last, how many; whether the
#: server was heard.
N, OPENED, REVISION, TOLD, HEARD = 1, 3, 4, 5, 18
WAITS, TREES, PIPES, KINDS = 6, 9, 12, 15
FIRST, LAST, COUNT = 0, 1, 2

#: A request that waits for its answer: number, 0, time (us), the open file's handle and whether it named one, number and name
#: of the open pipe it is about, the pipe it wants to open, bytes sent. Names are places among the names, -1 none.
NUMBER, TS, COMMAND, SHARE, SIGNED = 1, 3, 4, 5, 6
LOW, HIGH, HANDLED, PIPE, ABOUT, OPENS, SENT, LOGIN, TRANSCEIVE = 7, 8, 9, 10, 11, 12, 13, 14, 15

#: A share that is connected.
SESSION, TREE, OF_SHARE = 1, 2, 3

#: A named pipe that is open: its handle in two halves, its number, its name.
PIPE_LOW, PIPE_HIGH, PIPE_NUMBER, PIPE_NAME = 1, 2, 3, 4

#: Messages of one kind in one connection, counted: a row of the table. Columns 3 to 6 as those of a request; the status is -1
#: where nobody answered.
KIND_N, KIND_PIPE, KIND_STATUS, KIND_COUNT, KIND_SENT, KIND_RECEIVED, KIND_REVISION = 1, 7, 8, 9, 10, 11, 12
KIND_WIDTH: Final = 13
#: Commands of messages of which only the outer header can be read; whether they are signed nobody knows.
ENCRYPTED: Final = 0x10000
COMPRESSED: Final = 0x10001
UNKNOWN: Final = 2

#: A name: next, hash, bytes, where they are in the heap (UTF-16, as on the wire), whether it ends in IPC$.
NAME_HASH, NAME_SIZE, NAME_AT, NAME_IPC = 1, 2, 3, 4
NAME_WIDTH: Final = 5

#: An event, what Python is told, in the order in which it happened: its kind, the message of those that the kernel was given
#: (-1), the connection, us, bytes in the arena, how many they were on the wire, number of the message or of the pipe...
E_KIND, E_ROW, E_N, E_TS, E_AT, E_SIZE, E_WHOLE, E_NUMBER, E_SESSION, E_STATUS, E_REVISION, E_FLAG = range(12)
EVENT_WIDTH: Final = 12
ASKED: Final = 0  # a session setup with a token
TOLD_SETUP: Final = 1  # its answer; flag: the request was seen
LOST: Final = 2  # a session setup that is no longer waited for
OPENED_PIPE: Final = 3  # status: its name
CLOSED_PIPE: Final = 4
FED: Final = 5  # bytes through a pipe; flag: the side
ONE: Final = 6  # a message of SMB 1
ENDED: Final = 7  # the connection is over

#: Counts, which come first: where the rows end that were ever used, first of the free ones, rows in use, connections; rows
#: that are done, events, names, bytes of names; connections and pipes so far; malformed messages. Then the buckets of
#: connections and of names, events, rows that are done, names; and the pool. What was never written to takes no memory.
USED, FREE, HELD, FLOWS, DONE, EVENTS, NAMES, HEAP, OPENINGS, PIPES_EVER, BAD = range(11)
BUCKETS: Final = 1 << 14
FLOW_HEADS: Final = 16
NAME_HEADS: Final = FLOW_HEADS + BUCKETS
EVENTS_AT: Final = NAME_HEADS + BUCKETS
MOST_EVENTS: Final = 8_192
DONE_AT: Final = EVENTS_AT + MOST_EVENTS * EVENT_WIDTH
MOST_DONE: Final = 32_768
NAMES_AT: Final = DONE_AT + MOST_DONE * KIND_WIDTH
MOST_NAMES: Final = 65_536
POOL_AT: Final = NAMES_AT + MOST_NAMES * NAME_WIDTH
#: Rows of the pool (84 MB), and bytes of names: what is held of all connections of a source.
MOST_ROWS: Final = 1 << 19
MOST_HEAP: Final = 8 << 20

#: Columns that hold names, by what the row is.
NAMED: Final = {WAIT: (SHARE, OPENS, ABOUT), SHARED: (OF_SHARE,), OPEN: (PIPE_NAME,), KIND: (SHARE, KIND_PIPE)}
