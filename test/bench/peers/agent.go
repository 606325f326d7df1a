// What an agent of comparable duty is in Go, for its size, memory and start: one TLS 1.3 connection to an imager whose
// certificate is pinned, length-prefixed messages, heartbeats, reconnecting with jitter, files replaced durably, the
// node's own reboot. A stand-in for comparisons: it boots no node.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const maxFrame = 4 << 20

type message struct {
	Type    string   `json:"type"`
	UID     string   `json:"uid,omitempty"`
	MACs    []string `json:"macs,omitempty"`
	BootID  string   `json:"bootId,omitempty"`
	Request int      `json:"request,omitempty"`
	Action  string   `json:"action,omitempty"`
	Image   string   `json:"image,omitempty"`
	Why     string   `json:"why,omitempty"`
}

func send(to io.Writer, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	_, err = to.Write(append(frame, body...))
	return err
}

func receive(from io.Reader) (m message, err error) {
	var length [4]byte
	if _, err = io.ReadFull(from, length[:]); err != nil {
		return
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxFrame {
		return m, fmt.Errorf("a frame of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err = io.ReadFull(from, body); err != nil {
		return
	}
	return m, json.Unmarshal(body, &m)
}

func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(".", ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func act(m message) message {
	switch m.Type {
	case "flash":
		if err := replaceFile("pointer", []byte(m.Image)); err != nil {
			return message{Type: "failed", Request: m.Request, Why: err.Error()}
		}
	case "power":
		if m.Action == "reboot" {
			syscall.Sync()
			go syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
		}
	}
	return message{Type: "done", Request: m.Request}
}

func converse(address string, config *tls.Config, hello message, beat time.Duration) error {
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err = send(connection, hello); err != nil {
		return err
	}
	heard := make(chan message)
	failed := make(chan error, 1)
	go func() {
		for {
			m, err := receive(connection)
			if err != nil {
				failed <- err
				return
			}
			heard <- m
		}
	}()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		select {
		case m := <-heard:
			err = send(connection, act(m))
		case <-beats.C:
			err = send(connection, message{Type: "heartbeat"})
		case err = <-failed:
		}
		if err != nil {
			return err
		}
	}
}

func text(path string) string {
	content, _ := os.ReadFile(path)
	return strings.TrimSpace(string(content))
}

func main() {
	imager := flag.String("imager", "127.0.0.1:4747", "address of the imager")
	certificate := flag.String("certificate", "", "its certificate")
	uidFile := flag.String("uid-file", "/sys/class/dmi/id/product_uuid", "file with the node's UID")
	flag.Parse()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(text(*certificate)))
	config := &tls.Config{RootCAs: pool, ServerName: "imager", MinVersion: tls.VersionTLS13}
	hello := message{Type: "hello", UID: text(*uidFile), BootID: text("/proc/sys/kernel/random/boot_id")}
	interfaces, _ := net.Interfaces()
	for _, each := range interfaces {
		hello.MACs = append(hello.MACs, each.HardwareAddr.String())
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("ready")
	go func() {
		for wait := time.Second; ; wait = 2 * wait % time.Minute {
			if err := converse(*imager, config, hello, 5*time.Second); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			time.Sleep(wait/2 + time.Duration(rand.Int63n(int64(wait))))
		}
	}()
	<-stopped
}
