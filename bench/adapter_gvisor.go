// The adapter's services by gVisor's netstack, as Debian packages it. It ends with its stdin.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

var chunk = make([]byte, 256*1024)

func discard(stream net.Conn) {
	into := make([]byte, len(chunk))
	for {
		if _, err := stream.Read(into); err != nil {
			return
		}
	}
}

func echo(stream net.Conn) {
	io.Copy(stream, stream)
}

func source(stream net.Conn) {
	var asked [8]byte
	if _, err := io.ReadFull(stream, asked[:]); err != nil {
		return
	}
	left := binary.BigEndian.Uint64(asked[:])
	for endless := left == 0; endless || left > 0; {
		part := chunk
		if !endless && left < uint64(len(part)) {
			part = part[:left]
		}
		if _, err := stream.Write(part); err != nil {
			return
		}
		if !endless {
			left -= uint64(len(part))
		}
	}
}

func serve(listener net.Listener, service func(net.Conn)) {
	for {
		stream, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			service(stream)
			stream.Close()
		}()
	}
}

func check(err tcpip.Error) {
	if err != nil {
		log.Fatal(err)
	}
}

// configured has SACK, CUBIC and buffers that grow as Linux's do.
func configured() *stack.Stack {
	made := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	sack, moderate, cubic := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true), tcpip.CongestionControlOption("cubic")
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 8 << 20}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 8 << 20}
	for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &cubic, &receive, &send} {
		check(made.SetTransportProtocolOption(tcp.ProtocolNumber, option))
	}
	return made
}

func main() {
	descriptor := flag.Int("fd", -1, "a TUN's, without packet information")
	address := flag.String("addr", "", "ADDRESS/LENGTH")
	mtu := flag.Uint("mtu", 1500, "")
	flag.String("peer", "", "taken for the driver's sake")
	flag.Parse()
	local, network, err := net.ParseCIDR(*address)
	if err != nil {
		log.Fatal(err)
	}
	length, _ := network.Mask.Size()
	link, err := fdbased.New(&fdbased.Options{FDs: []int{*descriptor}, MTU: uint32(*mtu)})
	if err != nil {
		log.Fatal(err)
	}
	netstack := configured()
	check(netstack.CreateNIC(1, link))
	own := tcpip.AddressWithPrefix{Address: tcpip.Address(local.To4()), PrefixLen: length}
	check(netstack.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: own}, stack.AddressProperties{}))
	netstack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	services := map[uint16]func(net.Conn){9: discard, 7: echo, 19: source, 11: discard}
	for port, service := range services {
		listener, err := gonet.ListenTCP(netstack, tcpip.FullAddress{NIC: 1, Addr: own.Address, Port: port}, ipv4.ProtocolNumber)
		if err != nil {
			log.Fatal(err)
		}
		go serve(listener, service)
	}
	fmt.Println(`{"ev": "ready", "stack": "gvisor"}`)
	io.Copy(io.Discard, os.Stdin)
}
