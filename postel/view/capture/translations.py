"""Texts about connections and findings, in English and Chinese side by side; each finding with its rule."""

from typing import Final

from postel.view import notes
from postel.view.capture.case import Finding
from postel.view.capture.connection import Closing

# Words for each way to close, in the order of notes.LANGUAGES
CLOSINGS: Final = {
    Closing.UNANSWERED: ("unanswered", "无应答"),
    Closing.REFUSED: ("refused", "被拒绝"),
    Closing.HALF_OPEN: ("half-open", "半开"),
    Closing.OPEN: ("open", "未关闭"),
    Closing.HALF_CLOSED: ("half-closed", "半关闭"),
    Closing.UNCONFIRMED: ("last ACK missing", "缺最后的 ACK"),
    Closing.FOUR_WAY: ("four-way", "四次挥手"),
    Closing.THREE_WAY: ("three-way", "三次挥手"),
    Closing.SIMULTANEOUS: ("simultaneous", "同时关闭"),
    Closing.RESET_BY_OPENER: ("RST →", "RST →"),
    Closing.RESET_BY_OTHER: ("RST ←", "RST ←"),
}
COLUMNS: Final = {
    "number": ("#", "#"),
    "ends": ("opener → other", "发起方 → 对方"),
    "handshake": ("handshake", "握手"),
    "options": ("agreed", "协商结果"),
    "sent": ("octets →", "字节 →"),
    "received": ("octets ←", "字节 ←"),
    "again": ("again", "重传"),
    "closing": ("closed", "关闭方式"),
    "zeek": ("Zeek", "Zeek"),
}
SENTENCES: Final = {
    "nothing unusual": ("nothing unusual", "没有异常"),
    "more": ("and {count} more", "另有 {count} 个"),
    "took": ("began {began} UTC, took {took}", "开始于 {began} UTC，历时 {took}"),
    "connected": ("connect {whole}, round trip {round_trip}", "建立 {whole}，往返 {round_trip}"),
    "connected again": (
        "connect {whole}, of which {waited} waiting to send a SYN again; round trip {round_trip}",
        "建立 {whole}，其中 {waited} 在等待重发 SYN；往返 {round_trip}",
    ),
    "round trips": (
        "to {end}: {least} to {most}, median {median}",
        "到 {end}：{least} 至 {most}，中位数 {median}",
    ),
    "answers": ("answer after {median}, {most} at the longest", "应答用时 {median}，最长 {most}"),
    "longest": ("longest silence {length}", "最长静默 {length}"),
    "longest: wire": (
        "longest silence {length}, while segments of {end} were on the wire",
        "最长静默 {length}，期间 {end} 的报文段在途中",
    ),
    "longest: program": (
        "longest silence {length}, until the program of {end} sent data",
        "最长静默 {length}，直到 {end} 的程序发送数据",
    ),
    "longest: window": (
        "longest silence {length}, until the window of {end} opened",
        "最长静默 {length}，直到 {end} 的窗口打开",
    ),
    "moved": (
        "{arrow} {rate} octets/s, at most {flight} under way, {share} sent again",
        "{arrow} {rate} 字节/秒，在途最多 {flight}，重传 {share}",
    ),
    "window full": ("{arrow} window full {count} times", "{arrow} 窗口填满 {count} 次"),
    "shut": ("zero window of {end} for {time}", "{end} 零窗口 {time}"),
    "span": (
        (
            "{span}, {packets} packets, {tcp} of them in {connections} TCP connections with "
            "{octets} octets of data"
        ),
        "{span}，{packets} 个分组，其中 {tcp} 个属于 {connections} 个 TCP 连接，共 {octets} 字节数据",
    ),
    "sent again": (
        "sent again: {again} segments, {share} of the packets",
        "重传：{again} 个报文段，占分组的 {share}",
    ),
    "closed so": ("closed: {closings}", "关闭方式：{closings}"),
    "alike": (
        (
            "{opener} → {ports} ports of {hosts} hosts: {count} connections without data, all {closing}; "
            "--unfold lists each"
        ),
        (
            "{opener} → {hosts} 台主机的 {ports} 个端口：{count} 个无数据的连接，"
            "均为“{closing}”；--unfold 逐个列出"
        ),
    ),
    "numbers": (
        "octets sent (dots), sent again (crosses), acknowledged (lines)",
        "已发送（点）、重传（叉）、已确认（线）的字节",
    ),
    "windows": ("window (lines) and octets under way (dots)", "窗口（线）与在途字节（点）"),
    "trips": ("round trips from where the capture was made", "自捕获点起的往返时间"),
    "not drawn": (
        "{count} connections have no pictures here; postel explain FILE --conn N draws one",
        "{count} 个连接在此没有图；postel explain FILE --conn N 可画出其中一个",
    ),
    "filter": ("in Wireshark: {filter}", "在 Wireshark 中：{filter}"),
    "no tcp": ("no TCP connection in {packets} packets", "{packets} 个分组中没有 TCP 连接"),
}

# By kind of finding: the rule (RFC and section), then the text in the order of notes.LANGUAGES
FINDINGS: Final = {
    # opening
    "SYN again": (
        "RFC 6298, 2.1 and 5; RFC 9293, 3.8.3",
        "the SYN is sent again: the capture has no answer to it",
        "重发 SYN：捕获中没有对它的应答",
    ),
    "SYN after RST": (
        "RFC 9293, 3.10.7.3",
        "the SYN is sent again after a RST answered it",
        "收到 RST 应答之后重发 SYN",
    ),
    "SYN after a stray ACK": (
        "RFC 9293, 3.5.1, figure 10",
        "the SYN is sent again: the segment that answered it belongs to another connection",
        "重发 SYN：对它的应答属于另一个连接",
    ),
    "SYN again after its answer": (
        "RFC 6298, 2.1 and 5",
        (
            "the SYN is sent again although a SYN,ACK is in the capture: it was lost behind the place of the "
            "capture, or came too late"
        ),
        "捕获中已有 SYN,ACK，却仍重发 SYN：它在捕获点之后丢失，或到达太晚",
    ),
    "SYN,ACK again": (
        "RFC 6298, 5.4",
        "the SYN,ACK is sent again: the capture has no ACK of it",
        "重发 SYN,ACK：捕获中没有对它的确认",
    ),
    "SYN,ACK again after its ACK": (
        "RFC 6298, 5.4",
        (
            "the SYN,ACK is sent again although its ACK is in the capture: the ACK was lost, came too late, "
            "or wasn't accepted yet"
        ),
        "捕获中已有对 SYN,ACK 的确认，却仍重发：确认在捕获点之后丢失、到达太晚，或尚未被接受",
    ),
    "SYN with less": (
        "RFC 9293, 3.1 (MUST-6)",
        "the SYN is sent again without {options}: a device on the way may drop SYNs with these options",
        "重试的 SYN 去掉了 {options}：途中可能有设备丢弃带这些选项的 SYN",
    ),
    "all options gone": (
        "RFC 7323, 1.3; RFC 9293, 3.1 (MUST-6)",
        "the SYN,ACK has none of {options}: the peer is old, or a middlebox removed them",
        "SYN,ACK 中没有 {options}：对方的实现较旧，或选项被中间设备去掉",
    ),
    "not offered": (
        "RFC 7323, 2.2 and 3.2; RFC 2018, 2",
        "the SYN,ACK has {options}, which the SYN didn't offer: one of both was changed on the way",
        "SYN,ACK 含有 SYN 未提出的 {options}：其中之一在途中被修改",
    ),
    "no MSS": (
        "RFC 9293, 3.7.1 (MUST-15)",
        "no MSS option: {default} octets a segment are assumed",
        "没有 MSS 选项：按 {default} 字节处理",
    ),
    "small MSS": (
        "RFC 9293, 3.7.1",
        "an MSS of {mss}, less than the default of {least}",
        "MSS 为 {mss}，小于默认的 {least}",
    ),
    "over the MSS": (
        "RFC 9293, 3.7.1 (MUST-16)",
        "{length} octets, and the peer's MSS is {mss}: a device cuts or joins segments (offload), or a fault",
        "报文段 {length} 字节，而对方的 MSS 是 {mss}：网卡分段或合并（offload），或是错误",
    ),
    "data in SYN": (
        "RFC 9293, 3.10.7.2; RFC 7413, 2",
        "the SYN carries data, but no Fast Open cookie",
        "SYN 带数据，却没有 Fast Open cookie",
    ),
    "simultaneous open": (
        "RFC 9293, 3.5, figure 7 (MUST-10)",
        "both ends have sent a SYN: simultaneous open",
        "双方都主动发 SYN：同时打开",
    ),
    "half-open": (
        "RFC 9293, 3.10.7.4; RFC 4987, 2",
        "the SYN,ACK was never acknowledged: this end stayed in SYN-RECEIVED",
        "SYN,ACK 一直没有被确认：停在 SYN-RECEIVED",
    ),
    "unanswered": (
        "RFC 9293, 3.8.3 (MUST-23)",
        "the capture has no answer to the SYN",
        "捕获中没有对 SYN 的应答",
    ),
    "begins in the middle": (
        "RFC 9293, 3.5",
        "the SYN isn't in the capture: options and window scale are unknown",
        "捕获中没有 SYN：选项和窗口扩大因子未知",
    ),
    "ports again": (
        "RFC 6191, 2; RFC 9293, 3.6.1 (MAY-2)",
        "a new connection between the same ports, {seconds} s after the last one: within TIME-WAIT",
        "距上一个连接 {seconds} 秒又使用相同端口：仍在 TIME-WAIT 期间",
    ),
    # stream
    "retransmission": (
        "RFC 6298, 5.4",
        "sent again without three duplicate ACKs: after a timeout, or a probe of the tail",
        "没有三个重复 ACK 就重传：超时，或尾部探测",
    ),
    "fast retransmit": (
        "RFC 5681, 3.2",
        "sent again after three duplicate ACKs: fast retransmit",
        "三个重复 ACK 之后重传：快速重传",
    ),
    "SACK recovery": (
        "RFC 6675, 4; RFC 8985, 6.2",
        "sent again because SACKs told that later data had arrived",
        "SACK 表明后面的数据已到达，因此重传",
    ),
    "spurious": (
        "RFC 5682; RFC 2883, 4",
        "sent again although it had been acknowledged: spurious",
        "已被确认却又重传：伪重传",
    ),
    "duplicate SACK": ("RFC 2883, 4", "a D-SACK: the same data came twice", "D-SACK：同样的数据收到两次"),
    "duplicate ACKs": (
        "RFC 5681, 3.2",
        "three duplicate ACKs: a segment is missing",
        "三个重复 ACK：缺一个报文段",
    ),
    "overtaken": (
        "RFC 9293, 3.10.7.4 (SHLD-31)",
        "overtaken on the way: the segment comes after later data",
        "途中被超越：晚于后面的数据到达",
    ),
    "outside the window": (
        "RFC 9293, 3.10.7.4, first check; RFC 5961, 5",
        "outside the receive window: the receiver drops the segment and sends an ACK",
        "在接收窗口之外：接收方丢弃并回 ACK",
    ),
    "zero window": (
        "RFC 9293, 3.8.6 and 3.8.6.1",
        "a zero window: there is no room for more until the program of this end reads",
        "零窗口：本端程序读取之前没有空间",
    ),
    "window probe": ("RFC 9293, 3.8.6.1 (MUST-36)", "probes a closed window", "探测关闭的窗口"),
    "silly window": (
        "RFC 9293, 3.8.6.2.2 (MUST-39)",
        "opens the window by only {room} octets: silly window",
        "窗口只打开 {room} 字节：糊涂窗口综合征",
    ),
    "keep-alive": (
        "RFC 9293, 3.8.4",
        "keep-alive: asks whether the peer is still there",
        "保活：询问对方是否还在",
    ),
    "timestamp missing": (
        "RFC 7323, 3.2",
        "no timestamp although they were agreed",
        "已协商时间戳，报文段却没有",
    ),
    "timestamp goes back": (
        "RFC 7323, 5.2",
        "the timestamp goes back: PAWS drops the segment as old",
        "时间戳倒退：PAWS 会视为旧报文段丢弃",
    ),
    "urgent": (
        "RFC 6093, 3",
        "urgent data: middleboxes may clear the mark",
        "紧急数据：中间设备可能清除该标志",
    ),
    "contradictory flags": (
        "RFC 9293, 3.10.7",
        "flags that contradict each other: a scanner or a fault",
        "互相矛盾的标志：扫描器或错误",
    ),
    "no ACK bit": (
        "RFC 9293, 3.10.7.4, fifth check",
        "no ACK bit: the receiver drops the segment",
        "没有 ACK 位：接收方丢弃",
    ),
    # ECN
    "ECN reflected": (
        "RFC 3168, 6.1.1.1",
        "the SYN's ECN bits come back as they were sent: not an agreement",
        "SYN 的 ECN 位被原样返回：不算协商成功",
    ),
    "ECN unasked": (
        "RFC 3168, 6.1.1",
        "the SYN,ACK agrees to ECN, which the SYN didn't ask for",
        "SYN 未请求 ECN，SYN,ACK 却同意",
    ),
    "ECT on SYN": ("RFC 3168, 6.1.1", "the SYN itself is marked as ECN-capable", "SYN 本身标记为支持 ECN"),
    "ECT unagreed": (
        "RFC 3168, 6.1.1",
        "marked as ECN-capable although ECN wasn't agreed",
        "未协商 ECN 却标记为支持",
    ),
    "ECT again": ("RFC 3168, 6.1.5", "a retransmission marked as ECN-capable", "重传的报文段标记为支持 ECN"),
    "CE": (
        "RFC 3168, 6.1.3",
        "congestion experienced: a router marked it instead of dropping it",
        "CE：路由器以标记代替丢弃，表示拥塞",
    ),
    "CE unanswered": (
        "RFC 3168, 6.1.3",
        "the CE mark isn't echoed in the ACKs that follow",
        "后续 ACK 没有回显 CE 标记",
    ),
    # closing
    "half-closed": (
        "RFC 9293, 3.6",
        "this end sends on after it has acknowledged the peer's FIN: half-closed",
        "确认对方 FIN 之后继续发送：半关闭",
    ),
    "simultaneous close": (
        "RFC 9293, 3.6, case 3, figure 13",
        "both FINs crossed: both ends went through CLOSING",
        "双方 FIN 交错：都经过 CLOSING",
    ),
    "reset: refused": (
        "RFC 9293, 3.5.2, group 1",
        "reset: this end refuses the SYN, as a closed port does",
        "复位：拒绝 SYN，如同关闭的端口",
    ),
    "reset: unacceptable ACK": (
        "RFC 9293, 3.5.2, group 2",
        "reset: this end got an ACK for data that it hasn't sent: of an old connection, or a half-open one",
        "复位：收到对未发送内容的 ACK：旧连接或半开连接",
    ),
    "reset: of a SYN,ACK": (
        "RFC 9293, 3.5.2, group 2; 3.10.7.1",
        "reset: this end sent the SYN and rejects the SYN,ACK, as a scan does, or a program that has ended",
        "复位：它发出 SYN，却不要 SYN,ACK：扫描如此，已结束的程序也如此",
    ),
    "reset: not of the SYN": (
        "RFC 9293, 3.10.7.3, first and second check",
        "a RST with an ACK that isn't that of the SYN: the other end drops the RST",
        "RST 的 ACK 并不对应该 SYN：对方会丢弃",
    ),
    "reset: while opening": (
        "RFC 9293, 3.10.5",
        "reset before the connection was open",
        "复位：连接尚未建立",
    ),
    "reset: no such connection": (
        "RFC 9293, 3.5.2, group 1; 3.10.7.1",
        "reset: this end answers a segment of a connection that it doesn't have, or no longer has",
        "复位：应答一个报文段，它没有或已不再有该连接",
    ),
    "reset: text after CLOSE": (
        "RFC 9293, 3.6.1 (MAY-1, SHLD-3)",
        "reset: data came after this end had sent its FIN, and no program is left to read it",
        "复位：发出 FIN 之后仍有数据到来，已没有程序读取",
    ),
    "reset: after its FIN": (
        "RFC 9293, 3.6; 3.10.5",
        "reset after its own FIN: this end doesn't wait for the other end to close",
        "复位：在自己的 FIN 之后，不再等待对方关闭",
    ),
    "reset: again": (
        "RFC 9293, 3.10.7.1",
        "reset once more: this end answers a segment that came after the first RST",
        "再次复位：应答第一个 RST 之后到来的报文段",
    ),
    "reset: abort": (
        "RFC 9293, 3.10.5; 3.6.1 (SHLD-3)",
        (
            "reset: the connection is aborted: by its program, by the program's end, or because data "
            "was left unread"
        ),
        "复位：连接被中止：由程序、因程序结束，或因数据未读完",
    ),
    "reset: after the close": (
        "RFC 9293, 3.10.7.1",
        "reset after both ends had closed: a segment came late",
        "双方关闭之后的复位：有迟到的报文段",
    ),
    "reset: text": ("RFC 9293, 3.5.3 (SHLD-2)", "the RST carries text: {text}", "RST 带有文本：{text}"),
    "blind reset": (
        "RFC 5961, 3.2",
        "reset at a number outside the window: the connection went on after it",
        "复位序号在窗口之外：连接随后仍在继续",
    ),
    # ICMP
    "ICMP: too big": (
        "RFC 1191; RFC 8201; RFC 9293, 3.7.5",
        "a router says that this end's packets are too big: up to {mtu} octets fit",
        "路由器称本端的分组太大：最多 {mtu} 字节",
    ),
    "ICMP: unreachable": (
        "RFC 9293, 3.9.2.2 (MUST-55, MUST-56)",
        (
            "a router or the other end says that this end's packets can't be delivered (code {code}): the "
            "connection goes on trying"
        ),
        "路由器或对方称本端的分组无法送达（代码 {code}）：连接会继续尝试",
    ),
    "ICMP: time exceeded": (
        "RFC 9293, 3.9.2.2 (MUST-56)",
        "a router says that this end's packets go too far: a loop of routes, or a trace of them",
        "路由器称本端的分组经过太多跳：路由环路，或路由跟踪",
    ),
    # waiting
    "stall: wire": (
        "RFC 6298, 5",
        "the connection waits for the wire, up to {seconds} s: segments of this end were lost, or slow",
        "连接在等待网络，最长 {seconds} 秒：本端的报文段丢失或到达缓慢",
    ),
    "stall: program": (
        "",
        "the connection waits for the program of this end, up to {seconds} s",
        "连接在等待本端的程序，最长 {seconds} 秒",
    ),
    "stall: window": (
        "RFC 9293, 3.8.6",
        "the connection waits for the window of this end, up to {seconds} s: its program doesn't read",
        "连接在等待本端的窗口，最长 {seconds} 秒：本端的程序没有及时读取",
    ),
    # the capture itself
    "one direction": (
        "",
        "the capture has one direction only: the other end's segments are missing",
        "捕获只有一个方向：缺少对方的报文段",
    ),
    "missing": (
        "",
        "{octets} octets were acknowledged and aren't in the capture",
        "有 {octets} 字节已被确认，但不在捕获中",
    ),
    "cut": (
        "",
        "the snap length cuts this end's packets: from this one on, payload is missing in the capture",
        "捕获长度（snap length）截断了本端的分组：从此分组起，捕获中缺少部分数据",
    ),
    "offload: sender": (
        "",
        (
            "the capture was made at this end, before its device cuts large segments (offload): {count} "
            "of them are larger than the MSS"
        ),
        "捕获在本端进行，位于网卡分段（offload）之前：有 {count} 个报文段大于 MSS",
    ),
    "offload: receiver": (
        "",
        (
            "the capture was made at this end, after its device has joined segments (offload): {count} of "
            "them are larger than the MSS"
        ),
        "捕获在本端进行，位于网卡合并报文段（offload）之后：有 {count} 个报文段大于 MSS",
    ),
    "offload": (
        "",
        (
            "the capture was made at one of the ends, where a device cuts or joins segments (offload): "
            "{count} of this end's segments are larger than the MSS"
        ),
        "捕获在某一端进行，网卡会分段或合并报文段（offload）：本端有 {count} 个报文段大于 MSS",
    ),
    "copies": (
        "",
        (
            "{copies} packets are copies of others, made by a mirror port or by capturing on several "
            "interfaces: they don't count"
        ),
        "{copies} 个分组是其他分组的副本（镜像端口或多个接口）：不计入",
    ),
}


def say(texts: tuple[str, ...], language: str, **values: object) -> str:
    """Return the text in a language, of those in the order of `notes.LANGUAGES`, filled with ``values``."""
    return texts[notes.LANGUAGES.index(language)].format(**values)


def rule(finding: Finding) -> str:
    """Return the RFC and section of the rule behind a finding, or "" if there is none."""
    return FINDINGS[finding.kind][0]


def of_finding(finding: Finding, language: str) -> str:
    """Return the text of a finding in a language."""
    return say(FINDINGS[finding.kind][1:], language, **finding.values)
