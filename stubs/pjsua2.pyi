"""What the gateway uses of pjsua2 2.15 - 2.17, and no more: the module itself is untyped."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

PJSIP_TRANSPORT_UDP: int
PJSIP_TRANSPORT_UDP6: int
PJSIP_TRANSPORT_TCP: int
PJSIP_TRANSPORT_TCP6: int
PJSIP_TRANSPORT_TLS: int
PJSIP_TRANSPORT_TLS6: int
PJSUA_IPV6_DISABLED: int
PJMEDIA_SRTP_DISABLED: int
PJMEDIA_SRTP_OPTIONAL: int
PJMEDIA_SRTP_MANDATORY: int
PJ_SSL_SOCK_PROTO_TLS1_2: int
PJ_SSL_SOCK_PROTO_TLS1_3: int
PJSIP_EVENT_TSX_STATE: int
PJSIP_EVENT_RX_MSG: int
PJSIP_ROLE_UAC: int
PJSIP_TSX_STATE_COMPLETED: int
PJSUA_CALL_UNHOLD: int
PJSUA_CALL_UPDATE_CONTACT: int
PJSUA_CALL_UPDATE_VIA: int
PJSUA_DTMF_METHOD_RFC2833: int
PJSUA_SIP_TIMER_INACTIVE: int
PJSUA_SIP_TIMER_OPTIONAL: int
PJSIP_INV_STATE_EARLY: int
PJSIP_INV_STATE_CONFIRMED: int
PJSIP_INV_STATE_DISCONNECTED: int
PJSUA_CALL_MEDIA_ACTIVE: int
PJSUA_CALL_MEDIA_REMOTE_HOLD: int
PJMEDIA_TYPE_AUDIO: int
PJMEDIA_DIR_ENCODING_DECODING: int
PJMEDIA_FORMAT_PCM: int
PJMEDIA_FRAME_TYPE_AUDIO: int

class Error(Exception):
    status: int
    reason: str

class _Vector(Generic[T]):
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> T: ...
    def __iter__(self) -> Iterator[T]: ...
    def append(self, item: T) -> None: ...

class ByteVector(_Vector[int]):
    this: int
    def __init__(self, size: int) -> None: ...

class StringVector(_Vector[str]): ...

class MediaFormatAudio:
    def init(self, format_id: int, clock_rate: int, channels: int, frame_us: int, bits: int) -> None: ...

class MediaFrame:
    type: int
    buf: ByteVector

class AudioMedia:
    def startTransmit(self, sink: AudioMedia) -> None: ...
    def stopTransmit(self, sink: AudioMedia) -> None: ...

class AudioMediaPort(AudioMedia):
    def __init__(self) -> None: ...
    def createPort(self, name: str, fmt: MediaFormatAudio) -> None: ...
    def onFrameRequested(self, frame: MediaFrame) -> None: ...
    def onFrameReceived(self, frame: MediaFrame) -> None: ...

class MathStat:
    mean: int
    max: int
    last: int

class RtcpStreamStat:
    pkt: int
    bytes: int
    loss: int
    discard: int
    updateCount: int
    jitterUsec: MathStat

class RtcpStat:
    rxStat: RtcpStreamStat
    txStat: RtcpStreamStat
    rttUsec: MathStat

class JbufState:
    minPrefetch: int
    maxPrefetch: int
    avgDelayMsec: int
    lost: int
    empty: int

class StreamStat:
    rtcp: RtcpStat
    jbuf: JbufState

class MediaTransportInfo:
    srcRtcpName: str

class OnStreamPreCreateParam:
    streamIdx: int
    streamInfo: StreamInfo

class OnDtmfEventParam:
    method: int
    timestamp: int
    digit: str
    duration: int
    flags: int

class StreamInfo:
    jbInit: int
    jbMinPre: int
    jbMaxPre: int
    codecName: str
    codecClockRate: int

class SipRxData:
    wholeMsg: str
    srcAddress: str

class SipTransaction:
    role: int
    method: str
    state: int
    statusCode: int
    statusText: str

class TsxStateEventSrc:
    rdata: SipRxData

class TsxStateEvent:
    type: int
    prevState: int
    src: TsxStateEventSrc
    tsx: SipTransaction

class SipEventBody:
    tsxState: TsxStateEvent

class SipEvent:
    type: int
    body: SipEventBody

class OnCallTsxStateParam:
    e: SipEvent

class OnCallStateParam:
    e: SipEvent

class OnCallMediaStateParam: ...

class OnCallTransferRequestParam:
    statusCode: int

class OnCallTransferStatusParam:
    statusCode: int
    reason: str
    finalNotify: bool
    cont: bool

class OnCallReplaceRequestParam:
    statusCode: int

class OnStreamDestroyedParam:
    streamIdx: int

class SdpSession:
    wholeSdp: str

class OnCallSdpCreatedParam:
    sdp: SdpSession

class OnCallRxOfferParam:
    offer: SdpSession
    statusCode: int

class CallMediaInfo:
    index: int
    type: int
    status: int
    dir: int

class CallInfo:
    state: int
    lastStatusCode: int
    lastReason: str
    remoteUri: str
    media: _Vector[CallMediaInfo]

class CallSetting:
    flag: int
    audioCount: int
    videoCount: int

class CallOpParam:
    statusCode: int
    opt: CallSetting
    txOption: SipTxOption
    def __init__(self, useDefaultCallSetting: bool = ...) -> None: ...

class _Native:
    def disown(self) -> None: ...

class Call:
    this: _Native
    def __init__(self, account: Account, call_id: int = ...) -> None: ...
    def getId(self) -> int: ...
    def getInfo(self) -> CallInfo: ...
    def isActive(self) -> bool: ...
    def makeCall(self, uri: str, prm: CallOpParam) -> None: ...
    def answer(self, prm: CallOpParam) -> None: ...
    def hangup(self, prm: CallOpParam) -> None: ...
    def dialDtmf(self, digits: str) -> None: ...
    def setHold(self, prm: CallOpParam) -> None: ...
    def reinvite(self, prm: CallOpParam) -> None: ...
    def xfer(self, dest: str, prm: CallOpParam) -> None: ...
    def xferReplaces(self, dest: Call, prm: CallOpParam) -> None: ...
    def getAudioMedia(self, index: int) -> AudioMedia: ...
    def getStreamStat(self, index: int) -> StreamStat: ...
    def getMedTransportInfo(self, index: int) -> MediaTransportInfo: ...
    def getStreamInfo(self, index: int) -> StreamInfo: ...
    def onCallState(self, prm: OnCallStateParam) -> None: ...
    def onCallTsxState(self, prm: OnCallTsxStateParam) -> None: ...
    def onCallMediaState(self, prm: OnCallMediaStateParam) -> None: ...
    def onCallTransferStatus(self, prm: OnCallTransferStatusParam) -> None: ...
    def onCallSdpCreated(self, prm: OnCallSdpCreatedParam) -> None: ...
    def onCallRxOffer(self, prm: OnCallRxOfferParam) -> None: ...
    def onCallTransferRequest(self, prm: OnCallTransferRequestParam) -> None: ...
    def onCallReplaceRequest(self, prm: OnCallReplaceRequestParam) -> None: ...
    def onStreamPreCreate(self, prm: OnStreamPreCreateParam) -> None: ...
    def onDtmfEvent(self, prm: OnDtmfEventParam) -> None: ...
    def onStreamDestroyed(self, prm: OnStreamDestroyedParam) -> None: ...

class AuthCredInfo:
    def __init__(self, scheme: str, realm: str, user: str, data_type: int, data: str) -> None: ...

class TlsConfig:
    CaListFile: str
    verifyServer: bool
    proto: int
    msecTimeout: int

class TransportConfig:
    tlsConfig: TlsConfig
    port: int
    portRange: int
    boundAddress: str

class SipHeaderVector(_Vector[SipHeader]): ...

class SipHeader:
    hName: str
    hValue: str

class AccountRegConfig:
    headers: SipHeaderVector
    registrarUri: str
    registerOnAdd: bool
    disableRegOnModify: bool
    timeoutSec: int
    delayBeforeRefreshSec: int
    retryIntervalSec: int

class AccountSipConfig:
    authCreds: _Vector[AuthCredInfo]
    proxies: StringVector
    contactUriParams: str
    contactForced: str
    transportId: int

class AccountMediaConfig:
    srtpUse: int
    srtpSecureSignaling: int
    ipv6Use: int
    transportConfig: TransportConfig

class AccountCallConfig:
    timerUse: int
    timerMinSESec: int
    timerSessExpiresSec: int

class AccountMwiConfig:
    enabled: bool
    expirationSec: int

class AccountNatConfig:
    contactRewriteUse: int
    contactUseSrcPort: int

class AccountConfig:
    natConfig: AccountNatConfig
    callConfig: AccountCallConfig
    mwiConfig: AccountMwiConfig
    idUri: str
    regConfig: AccountRegConfig
    sipConfig: AccountSipConfig
    mediaConfig: AccountMediaConfig

class OnRegStateParam:
    status: int
    code: int
    reason: str
    rdata: SipRxData
    expiration: int

class OnIncomingCallParam:
    callId: int
    rdata: SipRxData

class OnMwiInfoParam:
    state: int
    rdata: SipRxData

class OnIncomingSubscribeParam:
    code: int

class SipTxOption:
    targetUri: str
    localUri: str
    headers: SipHeaderVector

class SendRequestParam:
    method: str
    txOption: SipTxOption

class OnSendRequestParam:
    e: SipEvent

class IpChangeParam:
    restartListener: bool

class Account:
    this: _Native
    def __init__(self) -> None: ...
    def getId(self) -> int: ...
    def create(self, config: AccountConfig) -> None: ...
    def modify(self, config: AccountConfig) -> None: ...
    def shutdown(self) -> None: ...
    def setRegistration(self, renew: bool) -> None: ...
    def sendRequest(self, prm: SendRequestParam) -> None: ...
    def onSendRequest(self, prm: OnSendRequestParam) -> None: ...
    def onRegState(self, prm: OnRegStateParam) -> None: ...
    def onIncomingCall(self, prm: OnIncomingCallParam) -> None: ...
    def onMwiInfo(self, prm: OnMwiInfoParam) -> None: ...
    def onIncomingSubscribe(self, prm: OnIncomingSubscribeParam) -> None: ...

class LogEntry:
    level: int
    msg: str

class LogWriter:
    def __init__(self) -> None: ...
    def write(self, entry: LogEntry) -> None: ...

class LogConfig:
    level: int
    consoleLevel: int
    msgLogging: bool
    writer: LogWriter

class UaConfig:
    threadCnt: int
    mainThreadOnly: bool
    maxCalls: int
    userAgent: str
    mwiUnsolicitedEnabled: bool

class MediaConfig:
    clockRate: int
    sndClockRate: int
    ecTailLen: int
    noVad: bool
    sndAutoCloseTime: int

class EpConfig:
    uaConfig: UaConfig
    medConfig: MediaConfig
    logConfig: LogConfig

class CodecInfo:
    codecId: str

class TransportInfo:
    localName: str

class Version:
    full: str

class AudDevManager:
    def setNullDev(self) -> None: ...
    def setNoDev(self) -> None: ...

class OnSelectAccountParam:
    rdata: SipRxData
    accountIndex: int

class Endpoint:
    def __init__(self) -> None: ...
    def onSelectAccount(self, prm: OnSelectAccountParam) -> None: ...
    def libCreate(self) -> None: ...
    def libInit(self, config: EpConfig) -> None: ...
    def libStart(self) -> None: ...
    def libDestroy(self) -> None: ...
    def libHandleEvents(self, timeout_ms: int) -> int: ...
    def libVersion(self) -> Version: ...
    def transportCreate(self, kind: int, config: TransportConfig) -> int: ...
    def transportClose(self, transport: int) -> None: ...
    def handleIpChange(self, param: IpChangeParam) -> None: ...
    def transportGetInfo(self, transport: int) -> TransportInfo: ...
    def audDevManager(self) -> AudDevManager: ...
    def codecEnum2(self) -> _Vector[CodecInfo]: ...
    def codecSetPriority(self, codec: str, priority: int) -> None: ...
