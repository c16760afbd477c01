// Goroutines, timers, locks, a server and its clients over the loopback, a file: what servers in Go are made of.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

func check(holds bool, name string) {
	if holds {
		fmt.Println("ok", name)
	} else {
		fmt.Println("FAIL", name)
	}
}

// Answers each line with the same line.
func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			lines := bufio.NewScanner(connection)
			for lines.Scan() {
				fmt.Fprintln(connection, lines.Text())
			}
		}()
	}
}

// How many of its lines come back.
func ask(address string, client int) int {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return -1
	}
	defer connection.Close()
	lines, right := bufio.NewScanner(connection), 0
	for i := 0; i < 20; i++ {
		line := fmt.Sprintf("client %d line %d", client, i)
		fmt.Fprintln(connection, line)
		if lines.Scan() && lines.Text() == line {
			right++
		}
		time.Sleep(time.Duration(client+1) * 300 * time.Microsecond)
	}
	return right
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go serve(listener)

	ticks, stop := 0, make(chan bool)
	ticker := time.NewTicker(time.Millisecond)
	go func() {
		for {
			select {
			case <-ticker.C:
				ticks++
			case <-stop:
				stop <- true
				return
			}
		}
	}()

	begin := time.Now()
	var group sync.WaitGroup
	var lock sync.Mutex
	var answers []int
	for client := 0; client < 4; client++ {
		group.Add(1)
		go func(client int) {
			defer group.Done()
			right := ask(listener.Addr().String(), client)
			lock.Lock()
			answers = append(answers, right)
			lock.Unlock()
		}(client)
	}
	group.Wait()
	took := time.Since(begin)
	stop <- true
	<-stop
	sort.Ints(answers)
	check(fmt.Sprint(answers) == "[20 20 20 20]", "every line came back")
	check(took >= 24*time.Millisecond, "sleeps take their time")
	check(ticks > 0, "a ticker ticks")

	// Nobody gives way: the runtime has to interrupt.
	spun := make(chan int, 2)
	for i := 0; i < 2; i++ {
		go func() {
			sum := 0
			for end := time.Now().Add(25 * time.Millisecond); time.Now().Before(end); sum++ {
			}
			spun <- sum
		}()
	}
	check(<-spun > 0 && <-spun > 0, "goroutines that spin end")
	garbage := 0
	for i := 0; i < 200; i++ {
		garbage += len(make([]byte, 1<<16))
	}
	runtime.GC()
	check(garbage == 200<<16, "garbage is collected")

	file, err := os.Create("file")
	check(err == nil, "a file is made")
	_, err = file.WriteString("text")
	check(err == nil && file.Sync() == nil && file.Close() == nil, "a file is written and synced")
	text, _ := os.ReadFile("file")
	check(string(text) == "text", "a file is read")
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	check(err != nil, "nobody listens there")
	fmt.Fprintln(os.Stderr, took, ticks)
}
