"""DCE/RPC interfaces and their operations by number, as the MS documents name them (C706, MS-SCMR, MS-DRSR, MS-NRPC...).

A dash stands where a number is not used on the wire.
"""

from __future__ import annotations

from typing import Final

_OBJECT: Final = "QueryInterface AddRef Release"  # every COM interface begins with these
_DISPATCH: Final = f"{_OBJECT} GetTypeInfoCount GetTypeInfo GetIDsOfNames Invoke"

INTERFACES: Final[dict[str, str]] = {
    "367abb81-9844-35f1-ad32-98f038001003": "svcctl",
    "1ff70682-0a51-30e8-076d-740be8cee98b": "atsvc",
    "378e52b0-c0a9-11cf-822d-00aa0051e40f": "sasec",
    "86d35949-83c9-4044-b424-db363231fd0c": "ITaskSchedulerService",
    "e3514235-4b06-11d1-ab04-00c04fc2dcd2": "drsuapi",
    "7c44d7d4-31d5-424c-bd5e-2b3e1f323d22": "dsaop",
    "12345778-1234-abcd-ef00-0123456789ac": "samr",
    "12345778-1234-abcd-ef00-0123456789ab": "lsarpc",
    "12345678-1234-abcd-ef00-01234567cffb": "netlogon",
    "4b324fc8-1670-01d3-1278-5a47bf6ee188": "srvsvc",
    "6bffd098-a112-3610-9833-46c3f87e345a": "wkssvc",
    "338cd001-2244-31f1-aaaa-900038001003": "winreg",
    "e1af8308-5d1f-11c9-91a4-08002b14a0fa": "epmapper",
    "12345678-1234-abcd-ef00-0123456789ab": "spoolss",
    "76f03f96-cdfd-44fc-a22c-64950a001209": "IRemoteWinspool",
    "0b6edbfa-4a24-4fc6-8a23-942b1eca65d1": "IRPCAsyncNotify",
    "ae33069b-a2a8-46ee-a235-ddfd339be281": "IRPCRemoteObject",
    "c681d488-d850-11d0-8c52-00c04fd90f7e": "efsrpc",
    "df1941c5-fe89-4e79-bf10-463657acf44d": "efsrpc",
    "82273fdc-e32a-18c3-3f78-827929dc23ea": "eventlog",
    "f6beaff7-1e19-4fbb-9f8f-b89e2018337c": "eventlog6",
    "3919286a-b10c-11d0-9ba8-00c04fd92ef5": "dssetup",
    "4fc742e0-4a10-11cf-8273-00aa004ae673": "netdfs",
    "a8e0653c-2744-4389-a61d-7373df8b2292": "fsrvp",
    "ccd8c074-d0e5-4a40-92b4-d074faa6ba28": "witness",
    "894de0c0-0d55-11d3-a322-00c04fa321a1": "InitShutdown",
    "d95afe70-a6d5-4259-822e-2c84da1ddb0d": "WindowsShutdown",
    "afa8bd80-7d8a-11c9-bef4-08002b102989": "mgmt",
    "8d9f4e40-a03d-11ce-8f69-08003e30051b": "pnp",
    "50abc2a4-574d-40b3-9d66-ee4fd5fba076": "dnsserver",
    "3dde7c30-165d-11d1-ab8f-00805f14db40": "BackupKey",
    "91ae6020-9e3c-11cf-8d7c-00aa00c091be": "ICertPassage",
    "f5cc5a18-4264-101a-8c59-08002b2f8426": "nspi",
    "a4f1db00-ca47-1067-b31f-00dd010662da": "emsmdb",
    "1544f5e0-613c-11d1-93df-00c04fd7bd09": "rfri",
    "f5cc59b4-4264-101a-8c59-08002b2f8426": "frsrpc",
    "897e2e5f-93f3-4376-9c9c-fd2277495c27": "frstrans",
    "6bffd098-a112-3610-9833-012892020162": "browser",
    "17fdd703-1827-4e34-79d4-24a55c53bb37": "msgsvc",
    "5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc": "msgsvcsend",
    "12b81e99-f207-4a4c-85d3-77b42f76fd14": "ISeclogon",
    "5ca4a760-ebb1-11cf-8611-00a0245420ed": "winstation_rpc",
    "484809d6-4239-471b-b5bc-61df8c23ac48": "TermSrvSession",
    "88143fd0-c28d-4b2b-8fef-8d882f6a9390": "TermSrvEnumeration",
    "51c82175-844e-4750-b0d8-ec255555bc06": "KMS",
    "6099fc12-3eff-11d0-abd0-00c04fd91a4e": "faxclient",
    "2f5f6520-ca46-1067-b319-00dd010662da": "tapsrv",
    "300f3532-38cc-11d0-a3f0-0020af6b0add": "trkwks",
    "8fb6d884-2388-11d0-8c35-00c04fda2795": "w32time",
    "3c4728c5-f0ab-448b-bda1-6ce01eb0a6d5": "dhcpcsvc",
    "3c4728c5-f0ab-448b-bda1-6ce01eb0a6d6": "dhcpcsvc6",
    "b97db8b2-4c63-11cf-bff6-08002be23f2f": "clusapi",
    "8f09f000-b7ed-11ce-bbd2-00001a181cad": "dimsvc",
    "2f5f3220-c126-1076-b549-074d078619da": "nddeapi",
    "45776b01-5956-4485-9f80-f428f7d60129": "DnsResolver",
    # DCOM (MS-DCOM)
    "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57": "IActivation",
    "000001a0-0000-0000-c000-000000000046": "IRemoteSCMActivator",
    "99fcfec4-5260-101b-bbcb-00aa0021347a": "IObjectExporter",
    "00000131-0000-0000-c000-000000000046": "IRemUnknown",
    "00000143-0000-0000-c000-000000000046": "IRemUnknown2",
    "00000000-0000-0000-c000-000000000046": "IUnknown",
    "00020400-0000-0000-c000-000000000046": "IDispatch",
    # WMI (MS-WMI)
    "f309ad18-d86a-11d0-a075-00c04fb68820": "IWbemLevel1Login",
    "d4781cd6-e5d3-44df-ad94-930efe48a887": "IWbemLoginClientID",
    "541679ab-2e5f-11d3-b34e-00104bcc4b4a": "IWbemLoginHelper",
    "9556dc99-828c-11cf-a37e-00aa003240c7": "IWbemServices",
    "027947e1-d731-11ce-a357-000000000001": "IEnumWbemClassObject",
    "1c1c45ee-4395-11d2-b60b-00104b703efd": "IWbemFetchSmartEnum",
    "423ec01e-2e35-11d2-b604-00104b703efd": "IWbemWCOSmartEnum",
    "7c857801-7381-11cf-884d-00aa004b2e24": "IWbemObjectSink",
    "44aca675-e8fc-11d0-a07c-00c04fb68820": "IWbemCallResult",
    "dc12a681-737f-11cf-884d-00aa004b2e24": "IWbemClassObject",
    "f1e9c5b2-f59b-11d2-b362-00105a1f8177": "IWbemRemoteRefresher",
    "2c9273e0-1dc3-11d3-b364-00105a1f8177": "IWbemRefreshingServices",
    "c49e32c7-bc8b-11d2-85d4-00105a1f8304": "IWbemBackupRestore",
    "c49e32c6-bc8b-11d2-85d4-00105a1f8304": "IWbemBackupRestoreEx",
}

_TABLES: Final[dict[str, str]] = {
    "svcctl": """CloseServiceHandle ControlService DeleteService LockServiceDatabase QueryServiceObjectSecurity
        SetServiceObjectSecurity QueryServiceStatus SetServiceStatus UnlockServiceDatabase NotifyBootConfigStatus
        ScSetServiceBitsW ChangeServiceConfigW CreateServiceW EnumDependentServicesW EnumServicesStatusW OpenSCManagerW
        OpenServiceW QueryServiceConfigW QueryServiceLockStatusW StartServiceW GetServiceDisplayNameW GetServiceKeyNameW
        ScSetServiceBitsA ChangeServiceConfigA CreateServiceA EnumDependentServicesA EnumServicesStatusA OpenSCManagerA
        OpenServiceA QueryServiceConfigA QueryServiceLockStatusA StartServiceA GetServiceDisplayNameA GetServiceKeyNameA
        ScGetCurrentGroupStateW EnumServiceGroupW ChangeServiceConfig2A ChangeServiceConfig2W QueryServiceConfig2A
        QueryServiceConfig2W QueryServiceStatusEx EnumServicesStatusExA EnumServicesStatusExW ScSendTSMessage
        CreateServiceWOW64A CreateServiceWOW64W ScQueryServiceTagInfo NotifyServiceStatusChange GetNotifyResults
        CloseNotifyHandle ControlServiceExA ControlServiceExW ScSendPnPMessage ScValidatePnpService ScOpenServiceStatusHandle
        - QueryServiceConfigEx - - - CreateWowService - - - OpenSCManager2""",
    "atsvc": "NetrJobAdd NetrJobDel NetrJobEnum NetrJobGetInfo",
    "sasec": "SASetAccountInformation SASetNSAccountInformation SAGetNSAccountInformation SAGetAccountInformation",
    "ITaskSchedulerService": """SchRpcHighestVersion SchRpcRegisterTask SchRpcRetrieveTask SchRpcCreateFolder SchRpcSetSecurity
        SchRpcGetSecurity SchRpcEnumFolders SchRpcEnumTasks SchRpcEnumInstances SchRpcGetInstanceInfo SchRpcStopInstance
        SchRpcStop SchRpcRun SchRpcDelete SchRpcRename SchRpcScheduledRuntimes SchRpcGetLastRunInfo SchRpcGetTaskInfo
        SchRpcGetNumberOfMissedRuns SchRpcEnableTask""",
    "drsuapi": """DRSBind DRSUnbind DRSReplicaSync DRSGetNCChanges DRSUpdateRefs DRSReplicaAdd DRSReplicaDel DRSReplicaModify
        DRSVerifyNames DRSGetMemberships DRSInterDomainMove DRSGetNT4ChangeLog DRSCrackNames DRSWriteSPN DRSRemoveDsServer
        DRSRemoveDsDomain DRSDomainControllerInfo DRSAddEntry DRSExecuteKCC DRSGetReplInfo DRSAddSidHistory
        DRSGetMemberships2 DRSReplicaVerifyObjects DRSGetObjectExistence DRSQuerySitesByCost DRSInitDemotion
        DRSReplicaDemotion DRSFinishDemotion DRSAddCloneDC DRSWriteNgcKey DRSReadNgcKey""",
    "dsaop": "DSAPrepareScript DSAExecuteScript",
    "samr": """SamrConnect SamrCloseHandle SamrSetSecurityObject SamrQuerySecurityObject SamrShutdownSamServer
        SamrLookupDomainInSamServer SamrEnumerateDomainsInSamServer SamrOpenDomain SamrQueryInformationDomain
        SamrSetInformationDomain SamrCreateGroupInDomain SamrEnumerateGroupsInDomain SamrCreateUserInDomain
        SamrEnumerateUsersInDomain SamrCreateAliasInDomain SamrEnumerateAliasesInDomain SamrGetAliasMembership
        SamrLookupNamesInDomain SamrLookupIdsInDomain SamrOpenGroup SamrQueryInformationGroup SamrSetInformationGroup
        SamrAddMemberToGroup SamrDeleteGroup SamrRemoveMemberFromGroup SamrGetMembersInGroup SamrSetMemberAttributesOfGroup
        SamrOpenAlias SamrQueryInformationAlias SamrSetInformationAlias SamrDeleteAlias SamrAddMemberToAlias
        SamrRemoveMemberFromAlias SamrGetMembersInAlias SamrOpenUser SamrDeleteUser SamrQueryInformationUser
        SamrSetInformationUser SamrChangePasswordUser SamrGetGroupsForUser SamrQueryDisplayInformation
        SamrGetDisplayEnumerationIndex SamrTestPrivateFunctionsDomain SamrTestPrivateFunctionsUser
        SamrGetUserDomainPasswordInformation SamrRemoveMemberFromForeignDomain SamrQueryInformationDomain2
        SamrQueryInformationUser2 SamrQueryDisplayInformation2 SamrGetDisplayEnumerationIndex2 SamrCreateUser2InDomain
        SamrQueryDisplayInformation3 SamrAddMultipleMembersToAlias SamrRemoveMultipleMembersFromAlias
        SamrOemChangePasswordUser2 SamrUnicodeChangePasswordUser2 SamrGetDomainPasswordInformation SamrConnect2
        SamrSetInformationUser2 SamrSetBootKeyInformation SamrGetBootKeyInformation SamrConnect3 SamrConnect4
        SamrUnicodeChangePasswordUser3 SamrConnect5 SamrRidToSid SamrSetDSRMPassword SamrValidatePassword - - - - -
        SamrUnicodeChangePasswordUser4 SamrValidateComputerAccountReuseAttempt - - SamrAccountIsDelegatedManagedServiceAccount""",
    "lsarpc": """LsarClose LsarDelete LsarEnumeratePrivileges LsarQuerySecurityObject LsarSetSecurityObject LsarChangePassword
        LsarOpenPolicy LsarQueryInformationPolicy LsarSetInformationPolicy LsarClearAuditLog LsarCreateAccount
        LsarEnumerateAccounts LsarCreateTrustedDomain LsarEnumerateTrustedDomains LsarLookupNames LsarLookupSids
        LsarCreateSecret LsarOpenAccount LsarEnumeratePrivilegesAccount LsarAddPrivilegesToAccount
        LsarRemovePrivilegesFromAccount LsarGetQuotasForAccount LsarSetQuotasForAccount LsarGetSystemAccessAccount
        LsarSetSystemAccessAccount LsarOpenTrustedDomain LsarQueryInfoTrustedDomain LsarSetInformationTrustedDomain
        LsarOpenSecret LsarSetSecret LsarQuerySecret LsarLookupPrivilegeValue LsarLookupPrivilegeName
        LsarLookupPrivilegeDisplayName LsarDeleteObject LsarEnumerateAccountsWithUserRight LsarEnumerateAccountRights
        LsarAddAccountRights LsarRemoveAccountRights LsarQueryTrustedDomainInfo LsarSetTrustedDomainInfo
        LsarDeleteTrustedDomain LsarStorePrivateData LsarRetrievePrivateData LsarOpenPolicy2 LsarGetUserName
        LsarQueryInformationPolicy2 LsarSetInformationPolicy2 LsarQueryTrustedDomainInfoByName LsarSetTrustedDomainInfoByName
        LsarEnumerateTrustedDomainsEx LsarCreateTrustedDomainEx LsarCloseTrustedDomainEx LsarQueryDomainInformationPolicy
        LsarSetDomainInformationPolicy LsarOpenTrustedDomainByName LsarTestCall LsarLookupSids2 LsarLookupNames2
        LsarCreateTrustedDomainEx2 CredrWrite CredrRead CredrEnumerate CredrWriteDomainCredentials CredrReadDomainCredentials
        CredrDelete CredrGetTargetInfo CredrProfileLoaded LsarLookupNames3 CredrGetSessionTypes LsarRegisterAuditEvent
        LsarGenAuditEvent LsarUnregisterAuditEvent LsarQueryForestTrustInformation LsarSetForestTrustInformation CredrRename
        LsarLookupSids3 LsarLookupNames4 LsarOpenPolicySce LsarAdtRegisterSecurityEventSource
        LsarAdtUnregisterSecurityEventSource LsarAdtReportSecurityEvent""",
    "netlogon": """NetrLogonUasLogon NetrLogonUasLogoff NetrLogonSamLogon NetrLogonSamLogoff NetrServerReqChallenge
        NetrServerAuthenticate NetrServerPasswordSet NetrDatabaseDeltas NetrDatabaseSync NetrAccountDeltas NetrAccountSync
        NetrGetDCName NetrLogonControl NetrGetAnyDCName NetrLogonControl2 NetrServerAuthenticate2 NetrDatabaseSync2
        NetrDatabaseRedo NetrLogonControl2Ex NetrEnumerateTrustedDomains DsrGetDcName NetrLogonGetCapabilities
        NetrLogonSetServiceBits NetrLogonGetTrustRid NetrLogonComputeServerDigest NetrLogonComputeClientDigest
        NetrServerAuthenticate3 DsrGetDcNameEx DsrGetSiteName NetrLogonGetDomainInfo NetrServerPasswordSet2
        NetrServerPasswordGet NetrLogonSendToSam DsrAddressToSiteNamesW DsrGetDcNameEx2 NetrLogonGetTimeServiceParentDomain
        NetrEnumerateTrustedDomainsEx DsrAddressToSiteNamesExW DsrGetDcSiteCoverageW NetrLogonSamLogonEx
        DsrEnumerateDomainTrusts DsrDeregisterDnsHostRecords NetrServerTrustPasswordsGet DsrGetForestTrustInformation
        NetrGetForestTrustInformation NetrLogonSamLogonWithFlags NetrServerGetTrustInfo - DsrUpdateReadOnlyServerDnsRecords
        - - - - - NetrChainSetClientAttributes""",
    "srvsvc": """NetrCharDevEnum NetrCharDevGetInfo NetrCharDevControl NetrCharDevQEnum NetrCharDevQGetInfo NetrCharDevQSetInfo
        NetrCharDevQPurge NetrCharDevQPurgeSelf NetrConnectionEnum NetrFileEnum NetrFileGetInfo NetrFileClose NetrSessionEnum
        NetrSessionDel NetrShareAdd NetrShareEnum NetrShareGetInfo NetrShareSetInfo NetrShareDel NetrShareDelSticky
        NetrShareCheck NetrServerGetInfo NetrServerSetInfo NetrServerDiskEnum NetrServerStatisticsGet NetrServerTransportAdd
        NetrServerTransportEnum NetrServerTransportDel NetrRemoteTOD NetrServerSetServiceBits NetprPathType
        NetprPathCanonicalize NetprPathCompare NetprNameValidate NetprNameCanonicalize NetprNameCompare NetrShareEnumSticky
        NetrShareDelStart NetrShareDelCommit NetrpGetFileSecurity NetrpSetFileSecurity NetrServerTransportAddEx
        NetrServerSetServiceBitsEx NetrDfsGetVersion NetrDfsCreateLocalPartition NetrDfsDeleteLocalPartition
        NetrDfsSetLocalVolumeState NetrDfsSetServerInfo NetrDfsCreateExitPoint NetrDfsDeleteExitPoint NetrDfsModifyPrefix
        NetrDfsFixLocalVolume NetrDfsManagerReportSiteInfo NetrServerTransportDelEx NetrServerAliasAdd NetrServerAliasEnum
        NetrServerAliasDel NetrShareDelEx""",
    "wkssvc": """NetrWkstaGetInfo NetrWkstaSetInfo NetrWkstaUserEnum NetrWkstaUserGetInfo NetrWkstaUserSetInfo
        NetrWkstaTransportEnum NetrWkstaTransportAdd NetrWkstaTransportDel NetrUseAdd NetrUseGetInfo NetrUseDel NetrUseEnum
        NetrMessageBufferSend NetrWorkstationStatisticsGet NetrLogonDomainNameAdd NetrLogonDomainNameDel NetrJoinDomain
        NetrUnjoinDomain NetrRenameMachineInDomain NetrValidateName NetrGetJoinInformation NetrGetJoinableOUs NetrJoinDomain2
        NetrUnjoinDomain2 NetrRenameMachineInDomain2 NetrValidateName2 NetrGetJoinableOUs2 NetrAddAlternateComputerName
        NetrRemoveAlternateComputerName NetrSetPrimaryComputerName NetrEnumerateComputerNames""",
    "winreg": """OpenClassesRoot OpenCurrentUser OpenLocalMachine OpenPerformanceData OpenUsers BaseRegCloseKey
        BaseRegCreateKey BaseRegDeleteKey BaseRegDeleteValue BaseRegEnumKey BaseRegEnumValue BaseRegFlushKey
        BaseRegGetKeySecurity BaseRegLoadKey BaseRegNotifyChangeKeyValue BaseRegOpenKey BaseRegQueryInfoKey BaseRegQueryValue
        BaseRegReplaceKey BaseRegRestoreKey BaseRegSaveKey BaseRegSetKeySecurity BaseRegSetValue BaseRegUnLoadKey
        BaseInitiateSystemShutdown BaseAbortSystemShutdown BaseRegGetVersion OpenCurrentConfig OpenDynData
        BaseRegQueryMultipleValues BaseInitiateSystemShutdownEx BaseRegSaveKeyEx OpenPerformanceText OpenPerformanceNlsText
        BaseRegQueryMultipleValues2 BaseRegDeleteKeyEx""",
    "epmapper": "ept_insert ept_delete ept_lookup ept_map ept_lookup_handle_free ept_inq_object ept_mgmt_delete ept_map_auth",
    "spoolss": """RpcEnumPrinters RpcOpenPrinter RpcSetJob RpcGetJob RpcEnumJobs RpcAddPrinter RpcDeletePrinter RpcSetPrinter
        RpcGetPrinter RpcAddPrinterDriver RpcEnumPrinterDrivers RpcGetPrinterDriver RpcGetPrinterDriverDirectory
        RpcDeletePrinterDriver RpcAddPrintProcessor RpcEnumPrintProcessors RpcGetPrintProcessorDirectory RpcStartDocPrinter
        RpcStartPagePrinter RpcWritePrinter RpcEndPagePrinter RpcAbortPrinter RpcReadPrinter RpcEndDocPrinter RpcAddJob
        RpcScheduleJob RpcGetPrinterData RpcSetPrinterData RpcWaitForPrinterChange RpcClosePrinter RpcAddForm RpcDeleteForm
        RpcGetForm RpcSetForm RpcEnumForms RpcEnumPorts RpcEnumMonitors RpcAddPort RpcConfigurePort RpcDeletePort
        RpcCreatePrinterIC RpcPlayGdiScriptOnPrinterIC RpcDeletePrinterIC RpcAddPrinterConnection RpcDeletePrinterConnection
        RpcPrinterMessageBox RpcAddMonitor RpcDeleteMonitor RpcDeletePrintProcessor RpcAddPrintProvidor
        RpcDeletePrintProvidor RpcEnumPrintProcessorDatatypes RpcResetPrinter RpcGetPrinterDriver2
        RpcClientFindFirstPrinterChangeNotification RpcFindNextPrinterChangeNotification RpcFindClosePrinterChangeNotification
        RpcRouterFindFirstPrinterChangeNotificationOld RpcReplyOpenPrinter RpcRouterReplyPrinter RpcReplyClosePrinter
        RpcAddPortEx RpcRemoteFindFirstPrinterChangeNotification RpcSpoolerInit RpcResetPrinterEx
        RpcRemoteFindFirstPrinterChangeNotificationEx RpcRouterReplyPrinterEx RpcRouterRefreshPrinterChangeNotification -
        RpcOpenPrinterEx RpcAddPrinterEx RpcSetPort
        RpcEnumPrinterData RpcDeletePrinterData RpcClusterSplOpen RpcClusterSplClose RpcClusterSplIsAlive RpcSetPrinterDataEx
        RpcGetPrinterDataEx RpcEnumPrinterDataEx RpcEnumPrinterKey RpcDeletePrinterDataEx RpcDeletePrinterKey RpcSeekPrinter
        RpcDeletePrinterDriverEx RpcAddPerMachineConnection RpcDeletePerMachineConnection RpcEnumPerMachineConnections
        RpcXcvData RpcAddPrinterDriverEx RpcSplOpenPrinter RpcGetSpoolFileInfo RpcCommitSpoolData RpcCloseSpoolFileHandle
        RpcFlushPrinter RpcSendRecvBidiData RpcAddDriverCatalog - - - - - RpcGetCorePrinterDrivers -
        RpcGetPrinterDriverPackagePath""",
    "efsrpc": """EfsRpcOpenFileRaw EfsRpcReadFileRaw EfsRpcWriteFileRaw EfsRpcCloseRaw EfsRpcEncryptFileSrv
        EfsRpcDecryptFileSrv EfsRpcQueryUsersOnFile EfsRpcQueryRecoveryAgents EfsRpcRemoveUsersFromFile
        EfsRpcAddUsersToFile EfsRpcSetFileEncryptionKey EfsRpcNotSupported EfsRpcFileKeyInfo
        EfsRpcDuplicateEncryptionInfoFile EfsUsePinForEncryptedFiles EfsRpcAddUsersToFileEx EfsRpcFileKeyInfoEx
        EfsRpcGenerateEfsStream EfsRpcGetEncryptedFileMetadata EfsRpcSetEncryptedFileMetadata EfsRpcFlushEfsCache
        EfsRpcEncryptFileExSrv EfsRpcQueryProtectors""",
    "eventlog": """ElfrClearELFW ElfrBackupELFW ElfrCloseEL ElfrDeregisterEventSource ElfrNumberOfRecords ElfrOldestRecord
        ElfrChangeNotify ElfrOpenELW ElfrRegisterEventSourceW ElfrOpenBELW ElfrReadELW ElfrReportEventW ElfrClearELFA
        ElfrBackupELFA ElfrOpenELA ElfrRegisterEventSourceA ElfrOpenBELA ElfrReadELA ElfrReportEventA ElfrRegisterClusterSvc
        ElfrDeregisterClusterSvc ElfrWriteClusterEvents ElfrGetLogInformation ElfrFlushEL ElfrReportEventAndSourceW""",
    "eventlog6": """EvtRpcRegisterRemoteSubscription EvtRpcRemoteSubscriptionNextAsync EvtRpcRemoteSubscriptionNext
        EvtRpcRemoteSubscriptionWaitAsync EvtRpcRegisterControllableOperation EvtRpcRegisterLogQuery EvtRpcClearLog
        EvtRpcExportLog EvtRpcLocalizeExportLog EvtRpcMessageRender EvtRpcMessageRenderDefault EvtRpcQueryNext
        EvtRpcQuerySeek EvtRpcClose EvtRpcCancel EvtRpcAssertConfig EvtRpcRetractConfig EvtRpcOpenLogHandle
        EvtRpcGetLogFileInfo EvtRpcGetChannelList EvtRpcGetChannelConfig EvtRpcPutChannelConfig EvtRpcGetPublisherList
        EvtRpcGetPublisherListForChannel EvtRpcGetPublisherMetadata EvtRpcGetPublisherResourceMetadata
        EvtRpcGetEventMetadataEnum EvtRpcGetNextEventMetadata EvtRpcGetClassicLogDisplayName""",
    "dssetup": """DsRolerGetPrimaryDomainInformation DsRolerDnsNameToFlatName DsRolerDcAsDc DsRolerDcAsReplica DsRolerDemoteDc
        DsRolerGetDcOperationProgress DsRolerGetDcOperationResults DsRolerCancel""",
    "netdfs": """NetrDfsManagerGetVersion NetrDfsAdd NetrDfsRemove NetrDfsSetInfo NetrDfsGetInfo NetrDfsEnum NetrDfsMove
        NetrDfsRename NetrDfsManagerGetConfigInfo NetrDfsManagerSendSiteInfo NetrDfsAddFtRoot NetrDfsRemoveFtRoot
        NetrDfsAddStdRoot NetrDfsRemoveStdRoot NetrDfsManagerInitialize NetrDfsAddStdRootForced NetrDfsGetDcAddress
        NetrDfsSetDcAddress NetrDfsFlushFtTable NetrDfsAdd2 NetrDfsRemove2 NetrDfsEnumEx NetrDfsSetInfo2""",
    "fsrvp": """GetSupportedVersion SetContext StartShadowCopySet AddToShadowCopySet CommitShadowCopySet ExposeShadowCopySet
        RecoveryCompleteShadowCopySet AbortShadowCopySet IsPathSupported IsPathShadowCopied GetShareMapping
        DeleteShareMapping PrepareShadowCopySet""",
    "witness": "WitnessrGetInterfaceList WitnessrRegister WitnessrUnRegister WitnessrAsyncNotify WitnessrRegisterEx",
    "InitShutdown": "BaseInitiateShutdown BaseAbortShutdown BaseInitiateShutdownEx",
    "WindowsShutdown": "WsdrInitiateShutdown WsdrAbortShutdown",
    "mgmt": """rpc_mgmt_inq_if_ids rpc_mgmt_inq_stats rpc_mgmt_is_server_listening rpc_mgmt_stop_server_listening
        rpc_mgmt_inq_princ_name""",
    "dnsserver": """R_DnssrvOperation R_DnssrvQuery R_DnssrvComplexOperation R_DnssrvEnumRecords R_DnssrvUpdateRecord
        R_DnssrvOperation2 R_DnssrvQuery2 R_DnssrvComplexOperation2 R_DnssrvEnumRecords2 R_DnssrvUpdateRecord2
        R_DnssrvUpdateRecord3 R_DnssrvEnumRecords3 R_DnssrvOperation3 R_DnssrvQuery3 R_DnssrvComplexOperation3
        R_DnssrvOperation4 R_DnssrvQuery4 R_DnssrvUpdateRecord4 R_DnssrvEnumRecords4""",
    "BackupKey": "BackuprKey",
    "ICertPassage": "CertServerRequest",
    "nspi": """NspiBind NspiUnbind NspiUpdateStat NspiQueryRows NspiSeekEntries NspiGetMatches NspiResortRestriction NspiDNToMId
        NspiGetPropList NspiGetProps NspiCompareMIds NspiModProps NspiGetSpecialTable NspiGetTemplateInfo NspiModLinkAtt -
        NspiQueryColumns - - NspiResolveNames NspiResolveNamesW""",
    "frsrpc": """FrsRpcSendCommPkt FrsRpcVerifyPromotionParent FrsRpcStartPromotionParent FrsNOP - - - - - -
        FrsRpcVerifyPromotionParentEx""",
    "frstrans": """CheckConnectivity EstablishConnection EstablishSession RequestUpdates RequestVersionVector AsyncPoll
        RequestRecords UpdateCancel RawGetFileData RdcGetSignatures RdcPushSourceNeeds RdcGetFileData RdcClose
        InitializeFileTransferAsync - RawGetFileDataAsync RdcGetFileDataAsync RdcFileDataTransferKeepAlive""",
    "IActivation": "RemoteActivation",
    "IRemoteSCMActivator": "- - - RemoteGetClassObject RemoteCreateInstance",
    "IObjectExporter": "ResolveOxid SimplePing ComplexPing ServerAlive ResolveOxid2 ServerAlive2",
    "IRemUnknown": f"{_OBJECT} RemQueryInterface RemAddRef RemRelease",
    "IRemUnknown2": f"{_OBJECT} RemQueryInterface RemAddRef RemRelease RemQueryInterface2",
    "IUnknown": _OBJECT,
    "IDispatch": _DISPATCH,
    "IWbemLevel1Login": f"{_OBJECT} EstablishPosition RequestChallenge WBEMLogin NTLMLogin",
    "IWbemLoginClientID": f"{_OBJECT} SetClientInfo",
    "IWbemServices": f"""{_OBJECT} OpenNamespace CancelAsyncCall QueryObjectSink GetObject GetObjectAsync PutClass PutClassAsync
        DeleteClass DeleteClassAsync CreateClassEnum CreateClassEnumAsync PutInstance PutInstanceAsync DeleteInstance
        DeleteInstanceAsync CreateInstanceEnum CreateInstanceEnumAsync ExecQuery ExecQueryAsync ExecNotificationQuery
        ExecNotificationQueryAsync ExecMethod ExecMethodAsync""",
    "IEnumWbemClassObject": f"{_OBJECT} Reset Next NextAsync Clone Skip",
    "IWbemFetchSmartEnum": f"{_OBJECT} GetSmartEnum",
    "IWbemWCOSmartEnum": f"{_OBJECT} Next",
    "IWbemObjectSink": f"{_OBJECT} Indicate SetStatus",
    "IWbemCallResult": f"{_OBJECT} GetResultObject GetResultString GetResultServices GetCallStatus",
    "IWbemRemoteRefresher": f"{_OBJECT} RemoteRefresh StopRefreshing Opnum5NotUsedOnWire",
    "IWbemRefreshingServices": f"""{_OBJECT} AddObjectToRefresher AddObjectToRefresherByTemplate AddEnumToRefresher
        RemoveObjectFromRefresher GetRemoteRefresher ReconnectRemoteRefresher""",
    "IWbemBackupRestore": f"{_OBJECT} Backup Restore",
    "IWbemBackupRestoreEx": f"{_OBJECT} Backup Restore Pause Resume",
}

#: Pipes whose interface is known where no bind was seen.
PIPES: Final[dict[str, str]] = {
    name: uuid
    for uuid, name in INTERFACES.items()
    if name in ("svcctl", "atsvc", "samr", "netlogon", "srvsvc", "wkssvc", "winreg", "spoolss", "eventlog", "netdfs", "drsuapi")
}

_OPERATIONS: Final[dict[str, tuple[str, ...]]] = {}


def interface(uuid: str) -> str:
    """An interface by name; its UUID where it has none here."""
    return INTERFACES.get(uuid, uuid)


def operation(uuid: str, opnum: int) -> str:
    """An operation by name; opnum_N where it has none here."""
    name = INTERFACES.get(uuid, "")
    table = _OPERATIONS.get(name)
    if table is None:
        table = _OPERATIONS[name] = tuple(_TABLES.get(name, "").split())
    if opnum < len(table) and table[opnum] != "-":
        return table[opnum]
    return f"opnum_{opnum}"
