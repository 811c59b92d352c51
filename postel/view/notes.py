"""Notes of the views about packets and timers, in English and Chinese.

State, flag and field names stay in English.
"""

from typing import Final

from postel.errors import ArgumentError
from postel.tcp.state import State
from postel.view.flow import Expiry, Flow, Remark
from postel.view.packet import Kind, Packet

LANGUAGES: Final = ("en", "zh")

# Texts by key: for each key one text per language, in the order of LANGUAGES
TEXTS: Final = {
    "syn": (
        "asks to open: “my numbers start here”",
        "请求建立连接，并告知自己的初始序号",
    ),
    "syn-ack": (
        "agrees, and says where its own numbers start",
        "同意建立连接，并告知自己的初始序号",
    ),
    "handshake-ack": (
        "the three-way handshake is complete",
        "三次握手完成",
    ),
    "fin": (
        "“nothing more to send”: half-close, it can still receive",
        "“我没有数据要发了”：半关闭，但仍可接收",
    ),
    "second-fin": (
        "the other direction ends, too",
        "另一个方向也结束发送",
    ),
    "fin-ack": (
        "acknowledges the FIN",
        "确认收到 FIN",
    ),
    "rst": (
        "reset: the connection ends at once",
        "复位：连接立即终止",
    ),
    "duplicate-ack": (
        "duplicate ACK {repeated}: still waiting for {ack}",
        "第 {repeated} 个重复 ACK：仍在等待 {ack}",
    ),
    "sack": (
        ", but holds {sack}",
        "，但已收到 {sack}",
    ),
    "window-update": ("window update: there is room again", "窗口更新：又有空间了"),
    "zero-window": ("zero window: send nothing more for now", "零窗口：暂时不要再发"),
    "window-probe": ("window probe: is there room again?", "零窗口探测：有空间了吗？"),
    "keep-alive": ("keep-alive probe: are you still there?", "保活探测：你还在吗？"),
    "retransmission": ("retransmission of #{original}", "#{original} 的重传"),
    "lost": ("lost on the way ({why})", "途中丢失（{why}）"),
    "lost, sent again": (
        "lost on the way ({why}); sent again as #{again}",
        "途中丢失（{why}），随后以 #{again} 重传",
    ),
    "damaged": ("damaged on the way", "途中损坏"),
    "copy": ("the network delivers #{number} once more", "网络把 #{number} 又送达了一次"),
    "dropped": ("dropped on arrival: {why}", "到达后被丢弃：{why}"),
    "dropped no_connection": ("there is no connection for it", "没有与它对应的连接"),
    "dropped not_a_syn": ("there is no connection for it", "没有与它对应的连接"),
    "dropped time_wait_syn": ("dropped on arrival: a SYN in TIME-WAIT", "到达后被丢弃：TIME-WAIT 期间的 SYN"),
    "dropped bad_checksum": ("dropped on arrival: wrong checksum", "到达后被丢弃：校验和错误"),
    "dropped accept_queue_full": (
        "dropped on arrival: the accept queue is full",
        "到达后被丢弃：全连接队列已满",
    ),
    "dropped half_open_full": (
        "not kept: the half-open queue is full",
        "不予保存：半连接队列已满",
    ),  # the host may still answer the SYN with a SYN cookie, so the text doesn't say "dropped"
    "text": ("“{text}”", "“{text}”"),
    "joint": ("; ", "；"),
    "loss": ("loss", "丢包"),
    "queue full": ("queue full", "队列已满"),
    "too big": ("too big", "超过 MTU"),
    "no route": ("no route", "无路由"),
    "partition": ("partition", "网络分区"),
    "link down": ("the link went down", "链路中断"),
    "host is down": ("the host is down", "主机已宕机"),
    "dropped by hand": ("dropped by hand", "被手动丢弃"),
    "not carried": ("no path carried it", "没有路径传送它"),
    "under way": ("still under way when the recording ends", "记录结束时仍在途中"),
    # timers that expired
    "retransmission timer": ("RTO: no acknowledgement came in time", "RTO 超时：没有按时收到确认"),
    "tail-probe timer": (
        "PTO: an acknowledgement is overdue, the tail is probed",
        "PTO 超时：确认迟迟不到，探测尾部",
    ),
    "reorder timer": (
        "reordering timer: an overtaken segment had time enough to arrive",
        "乱序定时器：被超越的报文段本该已到达",
    ),
    "time-wait timer": ("2MSL is over: TIME-WAIT ends", "2MSL 已过：TIME-WAIT 结束"),
    "persist timer": ("persist timer: the window has stayed closed", "坚持定时器：窗口一直关着"),
    "delayed-ack timer": ("delayed ACK: waited long enough", "延迟 ACK：等待时间到"),
    "keep-alive timer": ("keep-alive timer: nothing heard for long", "保活定时器：很久没有消息"),
    "user-timeout timer": ("user timeout: given up", "用户超时：放弃"),
    "override timer": (
        "override timer: a small segment has waited long enough",
        "覆盖定时器：小报文段等待时间到",
    ),
    "orphan timer": (
        "orphan timer: the program has released the connection, and the peer takes too long",
        "孤儿定时器：程序已释放连接，而对端迟迟没有动作",
    ),
    # states
    "called": ("the user's call", "用户调用"),
    "inferred": ("as later segments show", "由后来的报文段可知"),
    "of a capture": (
        "times: when each segment passed the place of the capture; states: inferred from the segments",
        "时间：报文段经过捕获点的时刻；状态：由报文段推断",
    ),
    "pause": ("… {length} later …", "…… {length}后 ……"),
    "minutes": ("{number} min", "{number} 分钟"),
    "seconds": ("{number} s", "{number} 秒"),
    "run": ("… {numbers}: {count} data segments, {size}", "…… {numbers}：{count} 个数据报文段，{size}"),
    "run acknowledged": (", acknowledged", "，均已确认"),
    "run acknowledged in part": (", acknowledged up to {ack}", "，已确认到 {ack}"),
    "2msl starts": ("waits 2MSL, in case this ACK is lost", "等待 2MSL，以防这个 ACK 丢失"),
    # comments on packets
    "carries": ("carries {length} octets", "携带 {length} 字节"),
    "acknowledges": ("acknowledges up to {ack}", "确认到 {ack}"),
    "connection": ("connection", "连接"),
    "forgotten": ("{count} more packets were not kept", "另有 {count} 个分组未保留"),
    "nothing": ("no packets", "没有分组"),
}


def say(key: str, language: str, **values: object) -> str:
    """Text of ``key`` in a language, with ``values`` put in; the key itself if `TEXTS` doesn't have it.

    Raises ArgumentError for an unknown language.
    """
    if language not in LANGUAGES:
        raise ArgumentError("language", language, " or ".join(LANGUAGES))
    texts = TEXTS.get(key)
    return key if texts is None else texts[LANGUAGES.index(language)].format(**values)


def of_packet(packet: Packet, flow: Flow, language: str) -> list[str]:
    """List the notes of a packet; plain data and acknowledgements have none."""
    notes = []
    if packet.copy:
        return [say("copy", language, number=packet.number)]
    if packet.original:
        notes.append(say("retransmission", language, original=packet.original))
    elif packet.kind is Kind.DUPLICATE_ACK:
        notes.append(_duplicate(packet, language))
    elif packet.kind is not Kind.PLAIN:
        notes.append(say(packet.kind.value, language))
    if packet.text and not packet.original:
        notes.append(say("text", language, text=packet.text))
    notes += _fate(packet, language)
    if _starts_waiting(packet, flow):
        notes.append(say("2msl starts", language))
    return notes


def _fate(packet: Packet, language: str) -> list[str]:
    """Notes on a packet that is lost, under way, damaged or dropped."""
    notes = []
    if packet.lost:
        key = "lost, sent again" if packet.again else "lost"
        notes.append(say(key, language, why=say(packet.lost, language), again=packet.again))
    elif packet.is_under_way:
        notes.append(say("under way", language))
    if packet.damaged:
        notes.append(say("damaged", language))
    if packet.dropped:
        key = f"dropped {packet.dropped}"
        notes.append(say(key if key in TEXTS else "dropped", language, why=packet.dropped))
    return notes


def _duplicate(packet: Packet, language: str) -> str:
    note = say("duplicate-ack", language, repeated=packet.repeated, ack=packet.ack)
    if packet.sack:
        note += say("sack", language, sack=sack_text(packet))
    return note


def sack_text(packet: Packet) -> str:
    """SACK blocks as ranges of relative numbers, each with its end excluded."""
    return ",".join(f"{left}-{right}" for left, right in packet.sack)


def _starts_waiting(packet: Packet, flow: Flow) -> bool:
    """Whether the packet is its sender's first one in TIME-WAIT, which acknowledges the peer's FIN."""
    if packet.sender_state is not State.TIME_WAIT:
        return False
    return not any(
        other.sender_state is State.TIME_WAIT and other.source == packet.source and other.order < packet.order
        for other in flow.packets
    )


def of_expiry(expiry: Expiry, language: str) -> str:
    """Note of a timer that expired."""
    return say(f"{expiry.timer} timer", language)


def of_remark(remark: Remark, language: str) -> str:
    """Text of a remark in a language."""
    return remark.texts[LANGUAGES.index(language) % len(remark.texts)]
