// SSH sessions with golang.org/x/crypto/ssh.
//
// session KNOWN_HOSTS USER KEY_FILE SESSIONS AT_ONCE COMMAND
//
// Without a key file the password is the user's name. Prints the nanoseconds of CPU time that a
// session has cost, from connect to close, the process's start and the keys' parsing left out.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
)

type device struct {
	address string
	key     []byte
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "session:", err)
		os.Exit(1)
	}
}

func readDevices(name string) []device {
	file, err := os.Open(name)
	check(err)
	defer file.Close()
	var devices []device
	for lines := bufio.NewScanner(file); lines.Scan(); {
		_, hosts, key, _, _, err := ssh.ParseKnownHosts(lines.Bytes())
		check(err)
		address := strings.NewReplacer("[", "", "]", "").Replace(hosts[0])
		devices = append(devices, device{address, key.Marshal()})
	}
	return devices
}

func cpu() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func run(to device, config ssh.ClientConfig, command string) error {
	config.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		if !bytes.Equal(key.Marshal(), to.key) {
			return fmt.Errorf("another host key")
		}
		return nil
	}
	client, err := ssh.Dial("tcp", to.address, &config)
	if err != nil {
		return err
	}
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	output, err := session.Output(command)
	if err != nil {
		return err
	}
	if len(output) < 4096 {
		return fmt.Errorf("%d bytes of output", len(output))
	}
	session.Close()
	return client.Close()
}

func main() {
	runtime.GOMAXPROCS(1)
	devices := readDevices(os.Args[1])
	user := os.Args[2]
	sessions, err := strconv.Atoi(os.Args[4])
	check(err)
	atOnce, err := strconv.Atoi(os.Args[5])
	check(err)
	command := os.Args[6]

	config := ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.Password(user)}}
	config.KeyExchanges = []string{"curve25519-sha256"}
	config.Ciphers = []string{"aes128-ctr"}
	config.MACs = []string{"hmac-sha2-256"}
	if os.Args[3] != "" {
		text, err := os.ReadFile(os.Args[3])
		check(err)
		signer, err := ssh.ParsePrivateKey(text)
		check(err)
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
	}
	check(run(devices[0], config, command))

	began := cpu()
	numbers := make(chan int)
	var workers sync.WaitGroup
	for i := 0; i < atOnce; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				check(run(devices[number%len(devices)], config, command))
			}
		}()
	}
	for number := 0; number < sessions; number++ {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
	fmt.Println((cpu() - began) / int64(sessions))
}
