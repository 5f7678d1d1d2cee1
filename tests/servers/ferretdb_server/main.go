// A MongoDB-compatible server for the tests: FerretDB on SQLite, at a Unix socket.
//
// FerretDB on SQLite reads a document and writes it back in two steps, so that two updates at once lose one.
// MongoDB never does. Therefore commands are passed on to it one at a time.
//
//	ferretdb SOCKET FOLDER
package main

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: ferretdb SOCKET FOLDER\n")
		os.Exit(2)
	}
	inner := os.Args[1] + ".all"
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: inner},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go accept(os.Args[1], inner)
	if err := server.Run(ctx); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

var oneAtATime sync.Mutex

func accept(address, inner string) {
	for {
		probe, err := net.Dial("unix", inner)
		if err == nil {
			probe.Close()
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	listener, err := net.Listen("unix", address)
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go pass(client, inner)
	}
}

// pass carries the commands of one connection there and their answers back, until either side ends.
func pass(client net.Conn, inner string) {
	defer client.Close()
	server, err := net.Dial("unix", inner)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		command, err := message(client)
		if err != nil {
			return
		}
		answer, err := answered(server, command)
		if err != nil {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

func answered(server net.Conn, command []byte) ([]byte, error) {
	oneAtATime.Lock()
	defer oneAtATime.Unlock()
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	const opMsg, moreToCome = 2013, 2
	if binary.LittleEndian.Uint32(command[12:]) == opMsg && len(command) >= 20 && command[16]&moreToCome != 0 {
		return nil, nil // nobody waits for an answer
	}
	return message(server)
}

// message reads one message of the wire protocol: its length, little end first, is its first four bytes.
func message(connection net.Conn) ([]byte, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(connection, head); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head)
	if size < 16 || size > 64<<20 {
		return nil, io.ErrUnexpectedEOF
	}
	whole := make([]byte, size)
	copy(whole, head)
	_, err := io.ReadFull(connection, whole[16:])
	return whole, err
}
